package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/sampler"
)

// Generator runs requests; *loopctl.Controller is one.
type Generator interface {
	Submit(reqs ...*loopctl.Request) ([]*loopctl.Stream, error)
}

// InProcess is a Target over a generator, without HTTP.
type InProcess struct {
	Generator Generator
	Vocab     int
	Priority  int   // of its requests; a higher number goes last
	Counter   Meter // nil: nobody counts
}

// Generate implements Target.
func (t *InProcess) Generate(ctx context.Context, c Call) (*Sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()                               // a reader that goes away takes its sequence with it
	picker, err := sampler.New(sampler.Params{}) // greedy, as requests with temperature 0 are
	if err != nil {
		return nil, err
	}
	s := &Sample{Start: time.Now(), Arrivals: make([]time.Duration, 0, c.MaxTokens)}
	streams, err := t.Generator.Submit(&loopctl.Request{
		Context: ctx, ID: "bench", Prompt: prompt(c, t.Vocab), MaxTokens: c.MaxTokens, Loops: c.Loops, Exit: c.Exit,
		Draft: c.Draft, Priority: t.Priority, NoCache: true, Seed: c.Seed, Sampler: picker,
	})
	if err != nil {
		return nil, err
	}
	for {
		e, err := streams[0].Next(ctx)
		if err != nil {
			return nil, err
		}
		switch e.Finish {
		case loopctl.FinishError:
			return nil, e.Err
		case loopctl.FinishCancelled:
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("request cancelled by the controller: %w", context.Canceled)
		}
		s.Arrivals = append(s.Arrivals, time.Since(s.Start))
		s.Tokens++
		s.Loops += e.Loops
		if e.Finish != loopctl.FinishNone {
			s.E2E = s.Arrivals[len(s.Arrivals)-1]
			s.take(e.Stats)
			return s, nil
		}
	}
}

// take prefers the engine's clock: on a machine whose cores are all in native calls, a reader wakes late and finds
// several tokens at one time.
func (s *Sample) take(stats *loopctl.Stats) {
	if stats == nil {
		return
	}
	s.Drafted, s.Accepted = stats.Drafted, stats.Accepted
	if first, last := stats.FirstToken.Sub(stats.Arrived), stats.Finished.Sub(stats.Arrived); first > 0 && last >= first {
		s.First, s.E2E = first, last
	}
}

// Blocks implements Meter.
func (t *InProcess) Blocks() (Blocks, bool) {
	if t.Counter == nil {
		return Blocks{}, false
	}
	return t.Counter.Blocks()
}

// prompt draws ids. Small ones are left out where there are others, since special tokens live there.
func prompt(c Call, vocab int) []int32 {
	r := rand.New(rand.NewPCG(c.Seed, 0x62656e6368))
	low := 0
	if vocab > 512 {
		low = 256
	}
	out := make([]int32, max(c.PromptTokens, 1))
	for i := range out {
		out[i] = int32(low + r.IntN(max(vocab-low, 1)))
	}
	return out
}

// Counter is a loopctl.Observer that sums up block calls and passes everything on to Next, where that is set.
type Counter struct {
	Next loopctl.Observer

	calls, rows, runnable, took atomic.Int64
}

// Tick implements loopctl.Observer.
func (c *Counter) Tick(t *loopctl.TickStats) {
	if b := &t.Calls[loopctl.StageBlock]; b.Rows > 0 {
		c.calls.Add(1)
		c.rows.Add(int64(b.Rows))
		c.runnable.Add(int64(max(t.Runnable, b.Rows)))
		c.took.Add(int64(b.Took))
	}
	if c.Next != nil {
		c.Next.Tick(t)
	}
}

// Finished implements loopctl.Observer.
func (c *Counter) Finished(r *loopctl.Request, last loopctl.Event) {
	if c.Next != nil {
		c.Next.Finished(r, last)
	}
}

// Blocks implements Meter: the sums so far.
func (c *Counter) Blocks() (Blocks, bool) {
	return Blocks{Calls: c.calls.Load(), Rows: c.rows.Load(), Runnable: c.runnable.Load(), Took: time.Duration(c.took.Load())}, true
}
