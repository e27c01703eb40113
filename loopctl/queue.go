package loopctl

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// receive takes what Submit queued.
func (c *Controller) receive() {
	for {
		select {
		case group := <-c.submit:
			for _, s := range group {
				c.arrivals++
				s.serial = c.arrivals
				c.join(s)
				c.wait(s)
			}
		default:
			return
		}
	}
}

// wait puts s among those who wait.
func (c *Controller) wait(s *sequence) {
	c.level(s.client)
	s.client.waiting++
	c.waiting = append(c.waiting, s)
	s.asleep = s.stream.park(c.cfg.StreamBuffer / 2)
}

// rouse takes pages and places from those who have kept them for too long while their readers were behind, and finds out who
// of the preempted still waits for a reader: it comes back when half of what it has made is read, so that it isn't computed
// again for each token.
func (c *Controller) rouse() {
	for i := len(c.running) - 1; i >= 0; i-- {
		s := c.running[i]
		if !s.parked.IsZero() && c.began.Sub(s.parked) >= c.cfg.ParkTime && s.behind() {
			s.held = true
			c.preempt(s)
		}
	}
	for _, s := range c.waiting {
		asleep := s.stream.park(c.cfg.StreamBuffer / 2)
		if s.asleep && !asleep {
			c.level(s.client)
		}
		if s.asleep = asleep; asleep {
			c.stats.Parked++
		}
	}
	for ; c.stats.Parked > mostAsleep*c.cfg.QueueLimit; c.stats.Parked-- {
		c.endSleeper()
	}
	c.sleeping.Store(int64(c.stats.Parked))
}

// mostAsleep is how many preempted sequences may wait for their readers, for each place of the queue.
const mostAsleep = 4

// endSleeper ends who has waited longest for its reader, of the client that has the most waiting.
func (c *Controller) endSleeper() {
	asleep := func(s *sequence) int {
		if s.asleep {
			return s.client.waiting
		}
		return 0
	}
	s := slices.MaxFunc(c.waiting, func(a, b *sequence) int { return cmp.Compare(asleep(a), asleep(b)) })
	c.waiting = slices.DeleteFunc(c.waiting, func(o *sequence) bool { return o == s })
	c.queued.Add(-1)
	c.end(s, Event{Finish: FinishError, Err: fmt.Errorf("%w: %d sequences wait for clients to read their streams (limit %d), and this one has waited longest: read faster",
		ErrQueueFull, c.stats.Parked, mostAsleep*c.cfg.QueueLimit)})
}

// reap ends those whose client is gone or whose deadline has come, waiting or running.
func (c *Controller) reap() {
	over := func(s *sequence) (e Event, yes bool) {
		if s.stream.cancelled.Load() {
			return Event{Finish: FinishCancelled, Err: s.cause()}, true
		}
		if d := s.req.Deadline; !d.IsZero() && !c.began.Before(d) {
			err := fmt.Errorf("%w: %v after arrival, with %d tokens generated", ErrDeadline, c.began.Sub(s.req.Arrived).Round(time.Millisecond), s.stats.CompletionTokens)
			return Event{Finish: FinishError, Err: err}, true
		}
		return Event{}, false
	}
	for _, s := range c.running {
		if e, yes := over(s); yes {
			c.end(s, e)
		}
	}
	c.forget()
	c.waiting = slices.DeleteFunc(c.waiting, func(s *sequence) bool {
		e, yes := over(s)
		if yes {
			c.queued.Add(-1)
			c.end(s, e)
		}
		return yes
	})
}

// cause is the error that the client's context ended with; nil where Stream.Cancel was called.
func (s *sequence) cause() error {
	if s.req.Context == nil {
		return nil
	}
	return context.Cause(s.req.Context)
}

// Of requests that find no pages, a tick looks for sequences that give way to the first mostHelped, and tries mostTried.
const (
	mostHelped = 8
	mostTried  = 64
)

// admit lets waiting requests run, in order. Where one finds no pages, those behind it that do pass it. That costs it nothing
// but Config.Patience: then those who passed it give way (docs/adr/0002).
func (c *Controller) admit() {
	c.rouse()
	refused := 0
	for s := c.next(); s != nil; s = c.next() {
		if c.fits() && c.reserve(s) || refused < mostHelped && c.makeRoom(s) {
			c.place(s, refused > 0)
			continue
		}
		if !c.fits() || refused == mostTried {
			return
		}
		s.refused = c.turns
		if refused++; s.blocked.IsZero() {
			s.blocked = c.began
		}
	}
}

// next is the first in order who waits for a place and has not been refused in this tick.
func (c *Controller) next() (first *sequence) {
	for _, s := range c.waiting {
		if !s.asleep && s.refused != c.turns && (first == nil || s.order(first, true) < 0) {
			first = s
		}
	}
	return first
}

// place lets s run, which has its pages.
func (c *Controller) place(s *sequence, passed bool) {
	i := slices.Index(c.waiting, s)
	c.waiting = slices.Delete(c.waiting, i, i+1)
	c.queued.Add(-1)
	c.latents.withoutLatent++
	s.client.waiting--
	s.client.running++
	s.running, s.passed, s.blocked = true, passed, time.Time{}
	c.running = append(c.running, s)
	if passed {
		c.stats.Passed++
	}
}

// fits says that there is a place and a latent for one more.
func (c *Controller) fits() bool {
	return len(c.running) < c.cfg.MaxRunning && c.latents.fits()
}

// grant fixes the depth of s when it is first admitted.
func (c *Controller) grant(s *sequence) {
	if s.stats.LoopsGranted > 0 {
		return // it has been admitted before
	}
	asked := s.loops
	if s.req.Elastic {
		least := min(max(s.exit.MinLoops, c.capacity.Loops.Min, 1), asked)
		wait := time.Duration(float64(c.backlog.Load()-s.owed) * c.shown.SecondsPerLoopStep * float64(time.Second))
		loops := int(math.Round(c.cfg.Elastic.step(wait) * float64(asked)))
		if t := s.req.TargetITL; t > 0 {
			if tick := c.shown.SecondsPerTick; tick > 0 { // a decode row does one loop a tick
				loops = min(loops, int(t.Seconds()/tick))
			}
		}
		s.loops = min(max(loops, least), asked)
		if s.loops < asked {
			c.pay(s, s.req.rows()*(asked-s.loops))
		}
	}
	s.stats.LoopsGranted = s.loops
	planes := c.capacity.KV.Planes
	s.wraps = planes > 0 && planes < s.loops
}

// reserve promises s the pages of its tokens and some to grow into, at all stages or at none. What the prefix cache has
// it takes from there.
func (c *Controller) reserve(s *sequence) bool {
	c.grant(s)
	tokens := s.tokens
	if tokens == nil {
		tokens = s.req.Prompt
		if s.holding.Loops = s.loops; s.holding.Root == nil {
			s.holding.Root = c.root(s)
		}
	}
	if n := s.leftEarly(); n >= 0 && !s.exit.free() { // it was preempted, and others' rows there need not have left
		s.holding.Bound = cmp.Or(n, -1)
	}
	cached, ok := c.memory.Admit(&s.holding, tokens[:s.known])
	if !ok {
		return false
	}
	if s.tokens == nil {
		s.tokens = append(make([]int32, 0, len(tokens)+s.req.MaxTokens), tokens...)
	}
	s.computed = cached
	c.stats.Cached += cached
	if s.stats.Preemptions == 0 {
		s.stats.CachedTokens = min(cached, len(s.req.Prompt))
	}
	c.pay(s, cached*s.loops)
	return true
}

// leftEarly is the position of the first row that is known to have left before the last loop, −1 where none has.
func (s *sequence) leftEarly() int {
	return slices.IndexFunc(s.depths, func(d uint16) bool { return d > 0 && int(d) < s.loops })
}

// root is what K and V of s depend on beside tokens; nil where that is too much to share them. Without layers in the
// coda, pages of a fixed depth serve any lower one. With them, under a policy that lets prompt rows leave, or where the
// trajectory counts, they serve their like alone.
func (c *Controller) root(s *sequence) []byte {
	if s.req.NoCache || len(s.req.Replay) > 0 || c.capacity.Whole { // a whole prompt's rows depend on those behind them
		return nil
	}
	b := fmt.Appendf(nil, "%q", s.req.CacheSalt)
	if c.capacity.Seeded {
		b = fmt.Appendf(b, " seed %d", s.req.Seed)
	}
	free, target := s.exit.free(), c.capacity.Trajectories != TrajectoryNone
	if free || target || c.capacity.Pages[StageCoda] > 0 {
		b = fmt.Appendf(b, " loops %d", s.loops)
	}
	if target {
		b = fmt.Appendf(b, " trajectory %v", s.req.Trajectory)
	}
	if free {
		b = fmt.Appendf(b, " exit %+v", s.exit)
	}
	return b
}

// end frees all that s holds and tells its reader. The caller removes it from waiting; forget removes it from running.
func (c *Controller) end(s *sequence, e Event) {
	if e.Finish == FinishStop || e.Finish == FinishLength {
		s.settle()
	}
	if s.running {
		c.strip(s, e.Finish != FinishError)
		c.ended++
		s.client.running--
	} else {
		s.client.waiting--
	}
	if s.client.running+s.client.waiting == 0 {
		delete(c.clients, s.req.Client)
	}
	s.ended = true
	s.stop()
	if s.timer != nil {
		s.timer.Stop()
	}
	c.pay(s, int(s.owed))
	if e.At.IsZero() { // no token came with the end
		e.At = c.cfg.Now()
	}
	s.stats.Finished = e.At
	if e.Finish == FinishCancelled || e.Finish == FinishError {
		e.Token.ID = -1
	}
	e.Stats = &s.stats
	c.cfg.Observer.Finished(s.req, e)
	s.stream.Push(e)
}

// forget removes ended sequences from running.
func (c *Controller) forget() {
	if c.ended > 0 {
		c.running = slices.DeleteFunc(c.running, func(s *sequence) bool { return s.ended })
		c.ended = 0
	}
}

// pay takes loop-steps off the backlog.
func (c *Controller) pay(s *sequence, steps int) {
	steps = min(steps, int(s.owed))
	s.owed -= int64(steps)
	c.backlog.Add(-int64(steps))
}

// empty says that every accepted request has ended.
func (c *Controller) empty() bool { return len(c.running) == 0 && c.queued.Load() == 0 }

// abandon ends everybody. Whoever is inside Submit either backs off or queues before it looks again, and wakes it.
func (c *Controller) abandon() {
	for _, s := range c.running {
		c.end(s, Event{Finish: FinishError, Err: ErrDraining})
	}
	c.forget()
	for {
		c.receive()
		for _, s := range c.waiting {
			c.queued.Add(-1)
			c.end(s, Event{Finish: FinishError, Err: ErrDraining})
		}
		clear(c.waiting)
		c.waiting = c.waiting[:0]
		if c.queued.Load() == 0 {
			break
		}
		<-c.wake
	}
	c.publish()
}
