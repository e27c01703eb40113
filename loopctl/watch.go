package loopctl

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Interrupter is an Engine that another goroutine can ask to end the call under way early, with an error.
type Interrupter interface{ Interrupt() }

// stuckAfter is how long a call that was interrupted may still take.
const stuckAfter = 5 * time.Second

// watched is what the engine goroutine tells of its native calls.
type watched struct {
	count atomic.Uint64 // of begins and ends: odd inside a call
	stage atomic.Uint32
	rows  atomic.Int64
	stuck chan struct{} // closed when a call does not return
}

func (w *watched) begin(st Stage, rows int) {
	w.stage.Store(uint32(st))
	w.rows.Store(int64(rows))
	w.count.Add(1)
}

func (w *watched) end() { w.count.Add(1) }

// what is the call under way in words.
func (w *watched) what() string {
	return fmt.Sprintf("%s of %d rows", Stage(w.stage.Load()), w.rows.Load())
}

// watchCalls looks after the native calls until stop is called. A call that takes CallTimeout is interrupted, and fails as any
// other. One that does not return then either ends the controller: readers and Submit get ErrStuck. What counts is looks
// that find the same call, and not the clock's time: a process that was stopped, or slept, has done nothing wrong.
func (c *Controller) watchCalls() (stop func()) {
	every, end, done := min(c.cfg.CallTimeout/8, time.Second), make(chan struct{}), sync.WaitGroup{}
	done.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		inside, before := time.Duration(0), uint64(0)
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
			}
			if now := c.calls.count.Load(); now != before || now%2 == 0 {
				inside, before = 0, now
				continue
			}
			inside += every
			reached := func(limit time.Duration) bool { return inside >= limit && inside-every < limit }
			if reached(c.cfg.CallTimeout) {
				c.cfg.Logger.Error("engine call takes too long and is interrupted", "call", c.calls.what(), "call_timeout", c.cfg.CallTimeout)
				if e, ok := c.engine.(Interrupter); ok {
					e.Interrupt()
				}
			}
			if reached(c.cfg.CallTimeout + min(stuckAfter, c.cfg.CallTimeout)) {
				c.cfg.Logger.Error("engine call is stuck: the process must be started again", "call", c.calls.what())
				c.draining.Store(true)
				c.closing.Store(true)
				close(c.calls.stuck)
				return
			}
		}
	})
	return func() {
		close(end)
		done.Wait()
	}
}

// Stuck says which native call does not return; nil while all is well.
func (c *Controller) Stuck() error {
	select {
	case <-c.calls.stuck:
		return fmt.Errorf("%w: %s", ErrStuck, c.calls.what())
	default:
		return nil
	}
}
