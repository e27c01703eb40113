package loopctl

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// Controller schedules requests on an engine. Its engine goroutine, started by Start and joined by Close, alone
// touches sequences, page tables and the engine; the methods of Controller may be called from anywhere.
type Controller struct {
	engine   Engine
	capacity Capacity
	cfg      Config

	submit   chan []*sequence // hardly ever blocks: queued bounds what is in it
	sleeping atomic.Int64     // of queued, those that wait for their readers alone
	queued   atomic.Int64     // requests accepted and not yet running, those inside submit too
	draining atomic.Bool
	closing  atomic.Bool
	started  atomic.Bool
	wake     chan struct{} // capacity 1: something changed, look again
	idle     chan struct{} // closed when draining and nothing is left
	gone     chan struct{} // closed when the engine goroutine has returned
	backlog  atomic.Int64  // loop-steps accepted and not yet done
	shown    shown
	calls    watched

	engineState // what only the engine goroutine touches
}

// New prepares a controller for e. Nothing runs until Start.
func New(e Engine, cfg Config) *Controller {
	l := e.Capacity()
	cfg = cfg.withDefaults(l)
	c := &Controller{
		engine:   e,
		capacity: l,
		cfg:      cfg,
		submit:   make(chan []*sequence, cfg.QueueLimit),
		wake:     make(chan struct{}, 1),
		idle:     make(chan struct{}),
		gone:     make(chan struct{}),
		calls:    watched{stuck: make(chan struct{})},
	}
	c.shown.Snapshot = Snapshot{PagesTotal: l.Pages, PageSize: l.PageSize, LatentsTotal: l.Latents, RowsByDepth: make([]int, max(l.Loops.Max, 1)+1)}
	c.engineState = newEngineState(l, cfg)
	return c
}

// Capacity is the engine's.
func (c *Controller) Capacity() Capacity { return c.capacity }

// Start starts the engine goroutine. Calling it again does nothing.
func (c *Controller) Start() {
	if c.started.CompareAndSwap(false, true) {
		go c.run()
	}
}

// Submit checks the requests and queues them all, or none. Each stream then gets tokens and, whatever happens, a last
// event. The errors: ErrBadRequest (a *FieldError), ErrPromptTooLong, ErrPagesExhausted, ErrQueueFull, ErrDraining, ErrStuck.
func (c *Controller) Submit(reqs ...*Request) ([]*Stream, error) {
	if err := c.Stuck(); err != nil || len(reqs) == 0 {
		return nil, err
	}
	group := make([]*sequence, len(reqs))
	streams := make([]*Stream, len(reqs))
	for i, r := range reqs {
		if err := r.Check(&c.capacity); err != nil {
			return nil, err
		}
		if err := r.checkCut(c.cfg.WrapRows); err != nil {
			return nil, err
		}
		group[i] = c.newSequence(r)
		streams[i] = group[i].stream
		streams[i].lost = c.calls.stuck
	}
	if err := c.enqueue(group); err != nil {
		return nil, err
	}
	return streams, nil
}

// enqueue counts first and looks at draining second, while the engine goroutine does the reverse: so no group is
// queued after it has decided to leave.
func (c *Controller) enqueue(group []*sequence) error {
	n := int64(len(group))
	if now := c.queued.Add(n) - c.sleeping.Load(); now > int64(c.cfg.QueueLimit) {
		c.queued.Add(-n)
		c.nudge()
		return fmt.Errorf("%w: %d requests wait and %d more would exceed the limit of %d; try again later",
			ErrQueueFull, now-n, n, c.cfg.QueueLimit)
	}
	if c.draining.Load() {
		c.queued.Add(-n)
		c.nudge()
		return ErrDraining
	}
	for _, s := range group {
		c.backlog.Add(s.owed)
		c.watch(s)
	}
	c.submit <- group
	c.nudge()
	return nil
}

// nudge wakes the engine goroutine, or makes its next sleep end at once.
func (c *Controller) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// sleep waits until somebody wakes the engine goroutine, or rouse has something to take.
func (c *Controller) sleep() {
	var first time.Time // who is parked
	for _, s := range c.running {
		if !s.parked.IsZero() && (first.IsZero() || s.parked.Before(first)) {
			first = s.parked
		}
	}
	if !first.IsZero() {
		alarm := time.AfterFunc(first.Add(c.cfg.ParkTime).Sub(c.cfg.Now())+time.Millisecond, c.nudge)
		defer alarm.Stop()
	}
	<-c.wake
}

// Drain refuses new requests and waits until the accepted ones have ended, or until ctx does. Once called, the
// controller never takes requests again.
func (c *Controller) Drain(ctx context.Context) error {
	c.draining.Store(true)
	c.nudge()
	if !c.started.Load() {
		return nil
	}
	select {
	case <-c.idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends every sequence (FinishError with ErrDraining) and waits for the engine goroutine, which returns after the
// native call that it may be in, or until ctx ends. Calling it again is safe. It does not close the engine.
func (c *Controller) Close(ctx context.Context) error {
	c.draining.Store(true)
	c.closing.Store(true)
	if c.started.CompareAndSwap(false, true) {
		go c.run() // only to end what was queued
	}
	c.nudge()
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("engine call still running"), context.Cause(ctx))
	}
}

// yieldAfter is how long the engine goroutine works before it goes through Go's scheduler. From one that has not for
// 10 ms the runtime's monitor takes its place in the middle of a native call, and where nothing else runs then looks
// 2,000 times a second what there is to do, each time on a core that multiplies: it took 2 % of the speed of one client.
const yieldAfter = 5 * time.Millisecond

// run is the engine goroutine. It keeps to one thread because native libraries hang state on it: a CUDA device, the
// floating-point mode, the last error.
func (c *Controller) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.gone)
	defer c.watchCalls()()
	yielded := time.Now()
	for !c.closing.Load() {
		if c.tick() {
			if time.Since(yielded) > yieldAfter {
				runtime.Gosched()
				yielded = time.Now()
			}
			continue
		}
		if c.draining.Load() && c.empty() {
			break
		}
		c.audit()
		if c.cfg.Idle != nil && c.empty() {
			c.cfg.Idle()
		}
		c.sleep()
		yielded = time.Now() // it slept in the scheduler
	}
	c.abandon()
	close(c.idle)
}
