package measure

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// Client answers requests. It is called from many goroutines at one time.
type Client interface {
	// Do waits for the whole answer. With an error may come what there was of the answer until then.
	Do(ctx context.Context, a Ask) (*Reply, error)
}

// Depth is how far a request loops.
type Depth struct {
	Loops int                // of each token, or the most under a policy; 0: the server's default
	Exit  loopctl.ExitPolicy // the zero value never leaves early
	Draft int                // loops of a guess; 0: none
}

// Name is the depth as tables have it.
func (d Depth) Name() string {
	switch {
	case d.Draft != 0:
		return fmt.Sprintf("%d, draft %s", d.Loops, draftWord(d.Draft))
	case d.policy():
		return d.Exit.Kind.String() + " " + strconv.FormatFloat(d.Exit.Threshold, 'g', -1, 64)
	}
	return strconv.Itoa(d.Loops)
}

func draftWord(draft int) string {
	if draft == loopctl.DraftAuto {
		return "auto"
	}
	return strconv.Itoa(draft)
}

func (d Depth) fixed() bool { return d.Exit.Kind == loopctl.ExitNone && d.Draft == 0 }

func (d Depth) policy() bool { return d.Exit.Kind != loopctl.ExitNone }

// Depths are fixed loops, then each policy at each threshold, up to so many loops: a policy is tried at a few of its own where
// none are given, from the cautious to the hasty, and argmax, which counts loops, at none beyond the most. A model of one loop
// leaves a policy no choice.
func Depths(loops []int, most int, policies []loopctl.ExitKind, given []float64, minLoops int) (out []Depth) {
	for _, n := range loops {
		out = append(out, Depth{Loops: n})
	}
	for _, kind := range policies {
		values := given
		if values == nil {
			values = thresholds[kind]
		}
		for _, v := range values {
			if most > 1 && (given != nil || kind != loopctl.ExitArgmax || v <= float64(most)) {
				out = append(out, Depth{Loops: most, Exit: loopctl.ExitPolicy{Kind: kind, Threshold: v, MinLoops: minLoops}})
			}
		}
	}
	return out
}

var thresholds = map[loopctl.ExitKind][]float64{
	loopctl.ExitDelta:   {0.03, 0.1, 0.15, 0.2, 0.25, 0.3},
	loopctl.ExitGate:    {0.99, 0.9, 0.7, 0.5, 0.3},
	loopctl.ExitKL:      {1e-5, 1e-4, 1e-3, 1e-2, 1e-1},
	loopctl.ExitEntropy: {1e-5, 1e-4, 1e-3, 1e-2, 1e-1},
	loopctl.ExitArgmax:  {4, 3, 2, 1},
}

// Message is one of a chat.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Ask is one request.
type Ask struct {
	Depth
	// One of them is the prompt: a text, token ids, or a chat.
	Prompt   string
	IDs      []int32
	Messages []Message

	MaxTokens   int  // 0: the server's default
	IgnoreEOS   bool // exactly MaxTokens tokens, whatever the model would say
	Temperature float64
	Seed        int64 // 0: none is sent
	// Answer, where not empty, is what comes after Prompt: nothing is generated, and the reply says how likely it is.
	Answer string
	// Stream asks for the answer piece by piece, so that their arrivals are known; Show, where set, is given each piece: of
	// what the model thinks, of its answer, or of both.
	Stream bool
	Show   func(thought, text string)
}

// Reply is what came back.
type Reply struct {
	Start time.Time
	// Stamps are the times since Start of the answer's pieces, where they were seen: in the process one for each token, by the
	// engine's clock, so that a reader that wakes late blurs nothing; over HTTP their arrivals, and a server may send several
	// tokens in a piece.
	Stamps    []time.Duration
	TTFT, E2E time.Duration // since Start: the first token (0: not known), the end of the answer

	Text     string
	Finish   string // why it ended, as the wire spells it
	Tokens   int
	Loops    int // of all tokens, summed
	Drafted  int
	Accepted int
	Warnings []string
	Likelihood
}

// Likelihood is how likely a model finds an answer.
type Likelihood struct {
	Logprob float64 // of the whole answer, in nats
	Scored  int     // its tokens
	Greedy  bool    // each of them was the most likely one
}

// MeanLoops is per token.
func (r *Reply) MeanLoops() float64 { return ratio(float64(r.Loops), float64(r.Tokens)) }

func (r *Reply) end() time.Time { return r.Start.Add(r.E2E) }

// within is the share of the answer that had come by a time.
func (r *Reply) within(end time.Time) float64 {
	came := 0
	for _, at := range r.Stamps {
		if !r.Start.Add(at).After(end) {
			came++
		}
	}
	return ratio(float64(came), float64(len(r.Stamps)))
}

// asker has the next request of a client that has had so many answers, nil where it is to send no more, and what is done
// with the answer. Only one of these functions runs at a time.
type asker func(client, had int) (a *Ask, done func(*Reply))

// drive lets clients send one request after another. The first error ends the context of the others, and is returned.
func drive(ctx context.Context, c Client, clients int, next asker) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex // held while next or done runs
	var wait sync.WaitGroup
	for client := range clients {
		wait.Go(func() {
			for had := 0; ctx.Err() == nil; had++ {
				mu.Lock()
				a, done := next(client, had)
				mu.Unlock()
				if a == nil {
					return
				}
				r, err := c.Do(ctx, *a)
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				done(r)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return context.Cause(ctx)
}
