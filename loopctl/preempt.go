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
		if s.fed >= s.holding.Covers() && s.fed < s.known && (oldest == nil || s.comesBefore(oldest)) {
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
	more := int64(s.fed) * int64(s.loops)
	s.running = false
	s.stats.Preemptions++
	c.stats.Preempted++
	s.owed += more
	c.gauges.backlog.Add(more)
	s.fed = 0
	s.probe.reset()
	i := slices.Index(c.running, s)
	c.running = slices.Delete(c.running, i, i+1)
	c.queued.Add(1)
	c.wait(s)
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
