package loopctl_test

import (
	"context"
	"errors"
	"io"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// In a bubble of synctest every goroutine must have ended when the test does: that is the leak check.

func started(t *testing.T, cfg loopctl.Config, fault func(loopctl.Stage, int) error) *loopctl.Controller {
	t.Helper()
	e := loopctltest.New(smallLimits())
	e.Fault = fault
	cfg.Logger = quiet
	c := loopctl.New(e, cfg)
	c.Start()
	return c
}

var slow = slowly(loopctl.StageBlock, time.Second)

func TestDrainFinishesRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := started(t, loopctl.Config{MaxRunning: 1}, slow)
		a, b := submitAs(t, c, 1, 1, 3, 2), submitAs(t, c, 2, 1, 2, 2) // b waits for a
		time.Sleep(time.Second / 2)
		drained := make(chan error)
		go func() { drained <- c.Drain(t.Context()) }()
		synctest.Wait()
		if _, err := c.Submit(request(1, 1, 1)); !errors.Is(err, loopctl.ErrDraining) {
			t.Errorf("submit while draining: %v", err)
		}
		for i, s := range []*loopctl.Stream{a, b} {
			if ids, last := drainAll(t, s); last.Finish != loopctl.FinishLength {
				t.Errorf("stream %d: %v, then %v", i, ids, last.Finish)
			}
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestDrainGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := started(t, loopctl.Config{}, slow)
		s := submitAs(t, c, 1, 1, 20, 8)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := c.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drain: %v", err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, last := drainAll(t, s); last.Finish != loopctl.FinishError || !errors.Is(last.Err, loopctl.ErrDraining) {
			t.Errorf("the end was %v %v", last.Finish, last.Err)
		}
		if err := errors.Join(c.CheckEmpty(), c.Close(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseWaitsForTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := started(t, loopctl.Config{}, slowly(loopctl.StageBlock, time.Minute))
		submitAs(t, c, 1, 1, 2, 2)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close within a call of a minute: %v", err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseUnstarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := loopctl.New(loopctltest.New(smallLimits()), loopctl.Config{Logger: quiet})
		s := submitAs(t, c, 1, 1, 2, 2)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, last := drainAll(t, s); !errors.Is(last.Err, loopctl.ErrDraining) {
			t.Errorf("the end was %+v", last)
		}
	})
}

// TestIdleSleeps: with nothing to do, or with only parked sequences, the engine goroutine blocks. synctest.Wait would
// not return if it span; each of the three wakers must bring it back.
func TestIdleSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := started(t, loopctl.Config{StreamBuffer: 2}, nil)
		synctest.Wait()
		s := submitAs(t, c, 1, 1, 6, 2) // woken by Submit
		synctest.Wait()
		if ticks := c.Snapshot().Ticks; ticks != 4 {
			t.Errorf("%d ticks with a buffer of 2 tokens at 2 loops, want 4", ticks)
		}
		if _, err := s.Next(t.Context()); err != nil { // woken by the reader
			t.Fatal(err)
		}
		synctest.Wait()
		if ticks := c.Snapshot().Ticks; ticks != 6 {
			t.Errorf("%d ticks after one token was read, want 6", ticks)
		}
		s.Cancel() // woken by Cancel
		s.Cancel()
		synctest.Wait()
		if snap := c.Snapshot(); snap.Running != 0 || snap.PagesUsed != [3]int{} {
			t.Errorf("after Cancel: %+v", snap)
		}
		if ids, last := drainAll(t, s); len(ids) != 2 || last.Finish != loopctl.FinishCancelled || last.Token.ID != -1 || last.Err != nil {
			t.Errorf("%v, then %+v", ids, last)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestContextCancelsWaiting: a request whose client hangs up in the queue leaves it, though nothing else happens.
func TestContextCancelsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := started(t, loopctl.Config{MaxRunning: 1, StreamBuffer: 1}, nil)
		r := request(1, 6, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r.Context = ctx
		s, err := c.Submit(r)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		drainAll(t, submitAs(t, c, 1, 1, 1, 1)) // takes the place of the one that nobody reads
		synctest.Wait()                         // its end is told before the tick that it ends in is over
		if got := c.Snapshot(); got.Waiting != 1 || got.Running != 0 {
			t.Errorf("%+v", got)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := c.Snapshot().Waiting; got != 0 {
			t.Errorf("%d waiting", got)
		}
		if ids, last := drainAll(t, s[0]); len(ids) != 1 || last.Finish != loopctl.FinishCancelled || !errors.Is(last.Err, context.DeadlineExceeded) {
			t.Errorf("%v, and the end was %+v", ids, last)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStreamByHand(t *testing.T) {
	s := loopctl.NewStream(1)
	if !s.Push(loopctl.Event{Token: loopctl.Sampled{ID: 7}}) || s.Push(loopctl.Event{}) {
		t.Error("a stream of 1 takes one token")
	}
	s.Push(loopctl.Event{Finish: loopctl.FinishLength}) // the end always fits
	for _, want := range []error{nil, nil, io.EOF, io.EOF} {
		if _, err := s.Next(t.Context()); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	s.Cancel()
	select {
	case <-s.Done():
	default:
		t.Error("Done is open after Cancel")
	}
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := started(t, loopctl.Config{}, slow)
		r := request(3, 4, 2)
		r.Timeline = true
		streams, err := c.Submit(r)
		if err != nil {
			t.Fatal(err)
		}
		_, last := drainAll(t, streams[0])
		want := loopctl.Stats{
			Arrived: start, Scheduled: start, FirstToken: start.Add(2 * time.Second), Finished: start.Add(8 * time.Second),
			PromptTokens: 3, CompletionTokens: 4, LoopsTotal: 8, LoopsMax: 2, LoopsGranted: 2, PromptRows: 3, PromptLoops: 6,
			Timeline: []loopctl.Stretch{{Start: start.Add(2 * time.Second), End: start.Add(8 * time.Second), Tokens: 3, Loops: 6, Least: 2, Most: 2}},
		}
		if !reflect.DeepEqual(*last.Stats, want) {
			t.Errorf("got  %+v\nwant %+v", *last.Stats, want)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestEndForgetsContext: a request's context outlives it (a connection has many); it must not keep the stream.
func TestEndForgetsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := started(t, loopctl.Config{}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		r := request(1, 1, 1)
		r.Context = ctx
		s, err := c.Submit(r)
		if err != nil {
			t.Fatal(err)
		}
		drainAll(t, s[0])
		cancel()
		synctest.Wait()
		select {
		case <-s[0].Done():
			t.Error("the context still knows the stream")
		default:
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestEventAt: a reader that comes late and takes all events at once still sees when each was there.
func TestEventAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := started(t, loopctl.Config{}, slow)
		begin := time.Now()
		s := submit(t, c, &loopctl.Request{Prompt: prompt(3), Loops: 2, MaxTokens: 4})
		time.Sleep(time.Minute)
		for i := range 4 {
			e, err := s.Next(t.Context())
			if want := begin.Add(time.Duration(i+1) * 2 * time.Second); err != nil || !e.At.Equal(want) {
				t.Errorf("token %d: at %v, want %v, %v", i, e.At, want, err)
			}
		}
		gone := submit(t, c, &loopctl.Request{Prompt: prompt(3), Loops: 2, MaxTokens: 4})
		gone.Cancel()
		if _, last := drainAll(t, gone); !last.At.Equal(last.Stats.Finished) {
			t.Errorf("cancelled at %v, the event says %v", last.Stats.Finished, last.At)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestIdle: whoever waits for a controller to fall idle is told, after the last request and not between two.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := loopctltest.New(smallLimits())
		e.Fault = slow
		calls := make(chan loopctl.Snapshot, 100)
		var c *loopctl.Controller
		c = loopctl.New(e, loopctl.Config{MaxRunning: 1, Logger: quiet, Idle: func() { calls <- c.Snapshot() }})
		c.Start()
		a, b := submitAs(t, c, 1, 1, 2, 2), submitAs(t, c, 2, 1, 2, 2)
		synctest.Wait()
		for len(calls) > 0 {
			<-calls // at the start nobody runs either
		}
		time.Sleep(7 * time.Second)
		if len(calls) > 0 {
			t.Errorf("idle while a request runs: %+v", <-calls)
		}
		drainAll(t, a)
		drainAll(t, b)
		synctest.Wait()
		if len(calls) == 0 {
			t.Fatal("nobody was told")
		}
		if s := <-calls; s.Running != 0 || s.Waiting != 0 {
			t.Errorf("told with %+v", s)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A request that comes while the accounting is checked is no mismatch: Submit counts it from another goroutine.
func TestSubmitDuringAudits(t *testing.T) {
	c := started(t, loopctl.Config{}, nil)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 2000 {
				streams, err := c.Submit(request(1, 1, 1))
				if err != nil {
					t.Error(err)
					return
				}
				for {
					if e, err := streams[0].Next(t.Context()); err != nil || e.Finish != loopctl.FinishNone {
						break
					}
				}
			}
		})
	}
	wait.Wait()
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := c.Snapshot(); got.Mismatches != 0 || got.Audits == 0 {
		t.Errorf("%d of %d audits found a mismatch", got.Mismatches, got.Audits)
	}
}
