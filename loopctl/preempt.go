package loopctl

import (
	"iter"
	"slices"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// grow promises each sequence that is about to feed a row beyond its pages the next ones, the oldest first. Where none
// are left the youngest is preempted: it waits again, keeps its tokens, and its K and V are computed again later.
func (c *Controller) grow() {
	for {
		s := c.oldestInNeed()
		if s == nil {
			return
		}
		for !c.memory.Grow(&s.holding) {
			v := c.youngest(anybody)
			c.preempt(v)
			if v == s {
				break
			}
		}
	}
}

// oldestInNeed is the first, by priority and arrival, whose next row has no promised page. Only decode rows get there:
// what a prompt needs is promised at admission.
func (c *Controller) oldestInNeed() (oldest *sequence) {
	for _, s := range c.running {
		if s.computed >= s.holding.Covers() && s.computed < s.known && (oldest == nil || s.comesBefore(oldest)) {
			oldest = s
		}
	}
	return oldest
}

// comesBefore orders sequences: by priority, then by arrival.
func (s *sequence) comesBefore(o *sequence) bool {
	if s.req.Priority != o.req.Priority {
		return s.req.Priority < o.req.Priority
	}
	return s.serial < o.serial
}

func anybody(*sequence) bool { return true }

// youngest is the last in that order among running sequences that fit; nil if none does.
func (c *Controller) youngest(fits func(*sequence) bool) (last *sequence) {
	for _, s := range c.running {
		if fits(s) && (last == nil || last.comesBefore(s)) {
			last = s
		}
	}
	return last
}

// preempt takes all that s holds and lets it wait again.
func (c *Controller) preempt(s *sequence) {
	c.strip(s, true) // what is computed may still be there when it comes back
	more := int64(s.computed) * int64(s.loops)
	s.running = false
	s.stats.Preemptions++
	c.stats.Preempted++
	s.owed += more
	c.backlog.Add(more)
	s.computed = 0
	s.probe.reset()
	i := slices.Index(c.running, s)
	c.running = slices.Delete(c.running, i, i+1)
	c.queued.Add(1)
	c.wait(s)
}

// share gives the full pages of s that are computed to the prefix cache.
func (c *Controller) share(s *sequence) {
	done := min(s.computed, s.known)
	if len(s.chunks) > 0 {
		done = min(done, s.chunks[0].first)
	}
	if s.varies && !s.exit.free() { // where depths don't follow from the tokens, rows that left early are nobody else's
		from := s.holding.Shared() * c.capacity.PageSize
		for p := from; p < done; p++ {
			if s.loopsAt(p) != s.loops {
				done = p
			}
		}
	}
	c.memory.Share(&s.holding, s.tokens, done)
}

// strip takes all that a running sequence holds. What is computed goes into the prefix cache first, if it is good.
func (c *Controller) strip(s *sequence, good bool) {
	c.takeBack(s)
	if good {
		c.share(s)
	}
	for len(s.chunks) > 0 {
		c.retire(s.chunks[0])
	}
	c.memory.Release(&s.holding)
	c.latents.withoutLatent-- // it held its last latent until now
}

// makeRoom preempts the youngest running sequence of lower rank than s, if preempting all of them is enough to admit it.
func (c *Controller) makeRoom(s *sequence) bool {
	lower := func(v *sequence) bool { return v.req.Priority > s.req.Priority }
	if !c.memory.Room(&s.holding, s.known, c.holdings(lower)) {
		return false
	}
	c.preempt(c.youngest(lower))
	return true
}

// holdings are the pages of the running sequences that fit.
func (c *Controller) holdings(fits func(*sequence) bool) iter.Seq[*kv.Holding] {
	return func(yield func(*kv.Holding) bool) {
		for _, s := range c.running {
			if fits(s) && !yield(&s.holding) {
				return
			}
		}
	}
}
