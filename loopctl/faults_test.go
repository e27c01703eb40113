package loopctl_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// TestFailedCalls: a call that fails or panics ends those in it, and only those; the next request gets its tokens.
func TestFailedCalls(t *testing.T) {
	for _, st := range []loopctl.Stage{loopctl.StagePrelude, loopctl.StageBlock, loopctl.StageCoda} {
		for name, fault := range map[string]func(loopctl.Stage, int) error{
			"error": failAt(st, 2), "panic": panicAt(st, 2),
		} {
			t.Run(fmt.Sprint(st, " ", name), func(t *testing.T) {
				e := loopctltest.New(smallLimits())
				e.Fault = fault
				c := loopctl.New(e, loopctl.Config{Logger: quiet, ChunkRows: 2})
				hit := submitAs(t, c, 1, 5, 4, 2)
				for c.Turn() {
				}
				_, last := drainAll(t, hit)
				if last.Finish != loopctl.FinishError || !errors.Is(last.Err, loopctl.ErrEngine) {
					t.Fatalf("the end was %v %v", last.Finish, last.Err)
				}
				if name == "error" && !errors.Is(last.Err, errInjected) {
					t.Errorf("the cause is lost: %v", last.Err)
				}
				if err := c.CheckEmpty(); err != nil {
					t.Fatal(err)
				}
				r := request(5, 4, 2)
				s, err := c.Submit(r)
				if err != nil {
					t.Fatal(err)
				}
				for c.Turn() {
				}
				if ids, _ := drainAll(t, s[0]); !slices.Equal(ids, expect(smallLimits(), r, 1).Tokens) {
					t.Errorf("afterwards: %v", ids)
				}
			})
		}
	}
}

type samplerFunc func([]float32) loopctl.Sampled

func (f samplerFunc) Sample(l []float32) loopctl.Sampled { return f(l) }

// TestBadSampler: a sampler that panics or talks nonsense ends its own sequence; its neighbour doesn't notice.
func TestBadSampler(t *testing.T) {
	for name, f := range map[string]samplerFunc{
		"panics":   func([]float32) loopctl.Sampled { panic("no") },
		"negative": func([]float32) loopctl.Sampled { return loopctl.Sampled{ID: -1} },
		"too big":  func(l []float32) loopctl.Sampled { return loopctl.Sampled{ID: int32(len(l))} },
	} {
		t.Run(name, func(t *testing.T) {
			c := loopctl.New(loopctltest.New(smallLimits()), loopctl.Config{Logger: quiet})
			bad, good := request(1, 2, 2), request(1, 2, 2)
			bad.Sampler = f
			s, err := c.Submit(bad, good)
			if err != nil {
				t.Fatal(err)
			}
			for c.Turn() {
			}
			if _, last := drainAll(t, s[0]); last.Finish != loopctl.FinishError || last.Err == nil {
				t.Errorf("bad: %+v", last)
			}
			if ids, last := drainAll(t, s[1]); len(ids) != 2 || last.Finish != loopctl.FinishLength {
				t.Errorf("good: %v %+v", ids, last)
			}
		})
	}
}

// TestThousand: 1,000 requests from 8 clients, a third of them cancelled at random, a fault in every 50th block call,
// and few pages. Nothing is lost, nothing leaks, each ends in its tokens or in an error value.
func TestThousand(t *testing.T) {
	l := smallLimits()
	e := loopctltest.New(l)
	e.Fault = func(s loopctl.Stage, n int) error {
		if s == loopctl.StageBlock && n%50 == 0 {
			return errInjected
		}
		return nil
	}
	seen := &ends{}
	c := loopctl.New(e, loopctl.Config{Logger: quiet, QueueLimit: 20, StreamBuffer: 2, Observer: seen})
	c.Start()
	const clients, each = 8, 125
	results := make(chan error, clients)
	for id := range clients {
		go func() { results <- client(t.Context(), c, l, uint64(id), each) }()
	}
	for range clients {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if err := c.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(append(e.Breaches, c.CheckEmpty())...); err != nil {
		t.Error(err)
	}
	total := 0
	for _, n := range seen.by {
		total += n
	}
	if total != clients*each || seen.by[loopctl.FinishLength] == 0 || seen.by[loopctl.FinishCancelled] == 0 || seen.by[loopctl.FinishError] == 0 {
		t.Errorf("ends: %v", seen.by)
	}
}

type ends struct{ by [5]int }

func (*ends) Tick(*loopctl.TickStats)                        {}
func (n *ends) Finished(_ *loopctl.Request, e loopctl.Event) { n.by[e.Finish]++ }

func client(ctx context.Context, c *loopctl.Controller, l loopctl.Capacity, id uint64, n int) error {
	rng := rand.New(rand.NewPCG(id, 3))
	for i := range n {
		r := request(1+rng.IntN(10), 1+rng.IntN(6), 1+rng.IntN(5))
		r.Seed = id*1000 + uint64(i)
		own, cancel := context.WithCancel(ctx)
		r.Context = own
		s, err := c.Submit(r)
		for errors.Is(err, loopctl.ErrQueueFull) {
			s, err = c.Submit(r)
		}
		if err != nil {
			cancel()
			return err
		}
		stopAt := -1
		if rng.IntN(3) == 0 {
			stopAt = rng.IntN(4)
		}
		err = read(ctx, s[0], expect(l, r, 1).Tokens, stopAt, cancel)
		cancel()
		if err != nil {
			return fmt.Errorf("client %d, request %d: %w", id, i, err)
		}
	}
	return nil
}

// read holds a stream against the tokens that it must have, and cancels after stopAt of them.
func read(ctx context.Context, s *loopctl.Stream, want []int32, stopAt int, cancel func()) error {
	for n := 0; ; n++ {
		if n == stopAt {
			cancel()
		}
		ev, err := s.Next(ctx)
		if err != nil {
			return err
		}
		switch ev.Finish {
		case loopctl.FinishError:
			if !errors.Is(ev.Err, loopctl.ErrEngine) {
				return ev.Err
			}
			return nil
		case loopctl.FinishCancelled:
			if stopAt < 0 {
				return errors.New("cancelled by nobody")
			}
			return nil
		}
		if n >= len(want) || ev.Token.ID != want[n] {
			return fmt.Errorf("token %d is %d, want %v", n, ev.Token.ID, want)
		}
		if ev.Finish == loopctl.FinishLength {
			if n != len(want)-1 {
				return fmt.Errorf("ended after %d tokens of %d", n+1, len(want))
			}
			return nil
		}
	}
}

// 1,000 requests of all kinds, in a pool of few pages, cancelled at random from many goroutines: each ends in tokens or in
// an error value, and afterwards everything is given back.
func TestThousandInFewPages(t *testing.T) {
	l := smallLimits()
	l.Latents, l.Pages[loopctl.StageBlock], l.Vocab = 20, 48, 7
	e := loopctltest.New(l)
	c := loopctl.New(e, loopctl.Config{MaxRunning: 12, ReserveTokens: 2, StreamBuffer: 2, QueueLimit: 1000, Logger: quiet})
	c.Start()
	ended := make(chan string)
	for i := range 1000 {
		go func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			r := &loopctl.Request{
				ID: fmt.Sprint(i), Prompt: make([]int32, 1+rng.IntN(20)), MaxTokens: 1 + rng.IntN(12), Loops: 1 + rng.IntN(4),
				Sampler: loopctltest.Greedy{}, Priority: rng.IntN(3),
			}
			for j := range r.Prompt {
				r.Prompt[j] = int32(rng.IntN(2)) // prefixes meet
			}
			depth(r, l, rng)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r.Context = ctx
			stopAt := len(r.Prompt) + r.MaxTokens
			if rng.IntN(3) == 0 {
				stopAt = rng.IntN(r.MaxTokens)
			}
			s, err := c.Submit(r)
			if err != nil {
				ended <- "refused"
				return
			}
			err = read(t.Context(), s[0], expect(l, r, c.WrapRows()).Tokens, stopAt, cancel)
			switch {
			case err != nil:
				t.Errorf("%s: %v", r.ID, err)
				ended <- "wrong"
			default:
				ended <- "right"
			}
		}()
	}
	count := map[string]int{}
	for range 1000 {
		count[<-ended]++
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.CheckEmpty(); err != nil {
		t.Error(err)
	}
	if count["right"] < 900 {
		t.Errorf("%v", count)
	}
}

// A clock that jumps by hours, forth and back, changes no answer and loses none.
func TestClockSteps(t *testing.T) {
	l := smallLimits()
	rng, now := rand.New(rand.NewPCG(1, 2)), time.Unix(1_700_000_000, 0)
	c := loopctl.New(loopctltest.New(l), loopctl.Config{Logger: quiet, QueueLimit: 100, Now: func() time.Time {
		now = now.Add(time.Duration(rng.Int64N(int64(4*time.Hour))) - 2*time.Hour)
		return now
	}})
	var reqs []*loopctl.Request
	var streams []*loopctl.Stream
	for range 40 {
		r := request(1+rng.IntN(10), 1+rng.IntN(6), 1+rng.IntN(5))
		s, err := c.Submit(r)
		if err != nil {
			t.Fatal(err)
		}
		reqs, streams = append(reqs, r), append(streams, s...)
	}
	for c.Turn() {
	}
	for i, s := range streams {
		if ids, last := drainAll(t, s); !slices.Equal(ids, expect(l, reqs[i], c.WrapRows()).Tokens) || last.Finish != loopctl.FinishLength {
			t.Errorf("%d: %v %v", i, ids, last.Finish)
		}
	}
	if err := c.CheckEmpty(); err != nil {
		t.Error(err)
	}
}
