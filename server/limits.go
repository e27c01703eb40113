package server

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// KeyLimits are what one API key may have. Zero is no bound.
type KeyLimits struct {
	LoopSteps int64   // in a minute, and at once after a minute's rest
	Sequences int     // under way at one time
	Weight    float64 // its part beside other keys'; 0: 1
	Operator  bool    // it may slow down the others: force of a benchmark, anybody's benchmarks, the admin listener
}

// tenant is who has a key, and what is left of its limits.
type tenant struct {
	KeyLimits

	mu   sync.Mutex
	left float64 // loop-steps
	at   time.Time
	open int // sequences
}

// tenant is whose request it is. Without keys it has no limits.
func (s *Server) tenant(c *gin.Context) *tenant {
	return cmp.Or(s.tenants[c.GetString(keyTenant)], &tenant{})
}

// operates says whether a request may slow down others'. Without keys everybody whom the server lets in may.
func (s *Server) operates(c *gin.Context) bool {
	return len(s.keys) == 0 || s.tenant(c).Operator
}

// take books a request's work at its worst, or says why not, and tells in header what is left.
func (t *tenant) take(cost int64, sequences int, header http.Header) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	rate := float64(t.LoopSteps) / 60
	t.left = min(t.left+rate*now.Sub(t.at).Seconds(), float64(t.LoopSteps))
	t.at = now
	err := t.refuse(cost, sequences, rate)
	if err == nil {
		t.left -= float64(cost)
		t.open += sequences
	}
	if t.LoopSteps > 0 {
		header.Set("x-ratelimit-limit-loop-steps", strconv.FormatInt(t.LoopSteps, 10))
		header.Set("x-ratelimit-remaining-loop-steps", strconv.FormatInt(int64(max(t.left, 0)), 10))
		header.Set("x-ratelimit-reset-loop-steps", seconds((float64(t.LoopSteps)-t.left)/rate).Round(time.Millisecond).String())
	}
	if t.Sequences > 0 {
		header.Set("x-ratelimit-limit-sequences", strconv.Itoa(t.Sequences))
		header.Set("x-ratelimit-remaining-sequences", strconv.Itoa(max(t.Sequences-t.open, 0)))
	}
	return err
}

// refuse says why a request may not come, or not yet.
func (t *tenant) refuse(cost int64, sequences int, rate float64) error {
	late := func(code, message string, wait time.Duration) error {
		return &api.Error{Status: http.StatusTooManyRequests, Code: code, Message: message, RetryAfter: wait}
	}
	switch {
	case t.Sequences > 0 && sequences > t.Sequences:
		return api.Bad("n", "request_too_large", "%d sequences asked for (prompts × n, of a benchmark its concurrency): this API key may have %d under way: send fewer prompts, or lower n or concurrency", sequences, t.Sequences)
	case t.LoopSteps > 0 && cost > t.LoopSteps:
		e := api.Bad("max_tokens", "request_too_large", "%d loop-steps at worst (prompt and max_tokens × loops × sequences): this API key has %d in a minute: lower max_tokens, n or loops, or shorten the prompt",
			cost, t.LoopSteps)
		e.Cause = generate.ErrOverBudget
		return e
	case t.Sequences > 0 && t.open+sequences > t.Sequences:
		return late("too_many_sequences", fmt.Sprintf("%d sequences of this API key are under way and %d more were asked for: it may have %d: wait until some have ended, or lower n",
			t.open, sequences, t.Sequences), time.Second)
	case t.LoopSteps > 0 && float64(cost) > t.left:
		return late("rate_limit_exceeded", fmt.Sprintf("%d loop-steps at worst (prompt and max_tokens × loops × sequences): this API key has %.0f of its %d in a minute left: wait, or lower max_tokens, n or loops",
			cost, max(t.left, 0), t.LoopSteps), seconds((float64(cost)-t.left)/rate))
	}
	return nil
}

// giveBack takes what was not used off the account.
func (t *tenant) giveBack(unused int64, sequences int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left += float64(unused)
	t.open -= sequences
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
