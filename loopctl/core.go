package loopctl

import (
	"context"
	"time"
)

// core is what the engine goroutine alone touches. Its slices are used again every tick: a tick that only decodes
// allocates nothing.
type core struct {
	pools   [numStages]pool
	latents []int32 // free slots; at least one for each sequence of emptyHanded
	// emptyHanded is how many running sequences hold no latent. Each may take one at any time, so others leave as
	// many free: that is why no sequence can be locked out by another's chunks.
	emptyHanded int

	waiting []*sequence // in order of arrival; the first waits for its pages and nobody passes it
	running []*sequence // those served longest ago come first, once there is not room for all
	ended   int         // of running, those that forget must remove

	fresh, plan, out []*chunk    // of this tick's prelude, block and coda
	spare            []*chunk    // retired ones, to be used again
	batch            Batch       // of the call being made
	logits           [][]float32 // the engine's, good until the next coda call
	identity         []int32     // 0, 1, 2 …: LogitRows are slices of it
	hungry           int         // ticks in a row in which decode rows left no room for prompts
	turn             []*sequence
	flight           []int64 // rows in flight by depth, for publish
	stats            TickStats
	began            time.Time
}

func newCore(l Limits, cfg Config) core {
	c := core{identity: make([]int32, l.MaxRows), latents: make([]int32, l.Latents)}
	for s := range numStages {
		c.pools[s] = newPool(l.Pages[s])
	}
	for i := range c.identity {
		c.identity[i] = int32(i)
	}
	for i := range c.latents {
		c.latents[i] = int32(l.Latents - 1 - i)
	}
	c.stats.ByDepth = make([]int, max(l.Loops.Max, 1))
	c.flight = make([]int64, len(c.stats.ByDepth)+1)
	c.running = make([]*sequence, 0, cfg.MaxRunning)
	return c
}

// receive takes what Submit queued.
func (c *Controller) receive() {
	for {
		select {
		case group := <-c.submit:
			c.waiting = append(c.waiting, group...)
		default:
			return
		}
	}
}

// reap ends those whose client is gone, waiting or running.
func (c *Controller) reap() {
	for _, s := range c.running {
		if s.stream.cancelled.Load() {
			c.end(s, Event{Finish: FinishCancelled, Err: s.cause()})
		}
	}
	c.forget()
	kept := c.waiting[:0]
	for _, s := range c.waiting {
		if s.stream.cancelled.Load() {
			c.queued.Add(-1)
			c.end(s, Event{Finish: FinishCancelled, Err: s.cause()})
			continue
		}
		kept = append(kept, s)
	}
	clear(c.waiting[len(kept):])
	c.waiting = kept
}

// cause is the error that the client's context ended with; nil where Stream.Cancel was called.
func (s *sequence) cause() error {
	if s.req.Context == nil {
		return nil
	}
	return context.Cause(s.req.Context)
}

// admit lets waiting requests run, in order. The first one that does not fit holds up the rest: passing it would let a
// stream of small requests starve it (docs/adr/0002).
func (c *Controller) admit() {
	n := 0
	for _, s := range c.waiting {
		if len(c.running) >= c.cfg.MaxRunning || len(c.latents) <= c.emptyHanded || !c.reserve(s) {
			break
		}
		n++
		c.queued.Add(-1)
		c.emptyHanded++
		s.tokens = append(make([]int32, 0, len(s.req.Prompt)+s.req.MaxTokens), s.req.Prompt...)
		s.running = true
		c.running = append(c.running, s)
	}
	if n > 0 {
		kept := copy(c.waiting, c.waiting[n:])
		clear(c.waiting[kept:])
		c.waiting = c.waiting[:kept]
	}
}

// reserve promises s the pages of its worst case, at all stages or at none.
func (c *Controller) reserve(s *sequence) bool {
	need := c.worstCase(s.req)
	for st := range numStages {
		if need[st] > c.pools[st].available() {
			return false
		}
	}
	for st := range numStages {
		if need[st] > 0 {
			n := planes(st, s.loops)
			c.pools[st].reserve(need[st])
			s.tables[st] = newPageTable(n, need[st]/n)
		}
	}
	return true
}

// enter makes a chunk of the next n tokens of s, each with a latent.
func (c *Controller) enter(s *sequence, n int) *chunk {
	var k *chunk
	if last := len(c.spare) - 1; last >= 0 {
		k, c.spare = c.spare[last], c.spare[:last]
	} else {
		k = &chunk{slots: make([]int32, 0, c.cfg.ChunkRows)}
	}
	k.seq, k.first, k.depth = s, s.fed, 0
	free := len(c.latents) - n
	k.slots = append(k.slots[:0], c.latents[free:]...)
	c.latents = c.latents[:free]
	if s.slots == 0 {
		c.emptyHanded--
	}
	s.slots += n
	s.fed += n
	s.chunks = append(s.chunks, k)
	if s.stats.Scheduled.IsZero() {
		s.stats.Scheduled = c.began
	}
	return k
}

// retire takes a chunk from its sequence and frees its latents.
func (c *Controller) retire(k *chunk) {
	s := k.seq
	for i, other := range s.chunks {
		if other == k {
			s.chunks = append(s.chunks[:i], s.chunks[i+1:]...)
			break
		}
	}
	c.latents = append(c.latents, k.slots...)
	s.slots -= k.rows()
	if s.slots == 0 {
		c.emptyHanded++
	}
	k.seq, k.slots = nil, k.slots[:0]
	c.spare = append(c.spare, k)
}

// end frees all that s holds and tells its reader. The caller removes it from waiting; forget removes it from running.
func (c *Controller) end(s *sequence, e Event) {
	for len(s.chunks) > 0 {
		c.retire(s.chunks[0])
	}
	for st := range numStages {
		s.tables[st].release(&c.pools[st])
	}
	if s.running {
		c.emptyHanded--
		c.ended++
	}
	s.ended = true
	s.stop()
	c.pay(s, int(s.owed))
	s.stats.Finished = c.cfg.Now()
	if e.Finish == FinishCancelled || e.Finish == FinishError {
		e.Token.ID = -1
	}
	e.Stats = &s.stats
	c.cfg.Observer.Finished(s.req, e)
	s.stream.Push(e)
}

// forget removes ended sequences from running.
func (c *Controller) forget() {
	if c.ended == 0 {
		return
	}
	kept := c.running[:0]
	for _, s := range c.running {
		if !s.ended {
			kept = append(kept, s)
		}
	}
	clear(c.running[len(kept):])
	c.running, c.ended = kept, 0
}

// pay takes loop-steps off the backlog.
func (c *Controller) pay(s *sequence, steps int) {
	s.owed -= int64(steps)
	c.gauges.backlog.Add(-int64(steps))
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
