package loopctl

import (
	"iter"
	"slices"
	"time"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// grow promises each sequence that is about to feed a row beyond its pages the next ones, the oldest first. Where none
// are left the first to yield is preempted: it waits again, keeps its tokens, and its K and V are computed again later.
func (c *Controller) grow() {
	for {
		s := c.oldestInNeed()
		if s == nil {
			return
		}
		for !c.memory.Grow(&s.holding) {
			v := c.firstToYield()
			c.preempt(v)
			if v == s {
				break
			}
		}
	}
}

// oldestInNeed is the first in order whose next row has no promised page. Only decode rows get there:
// what a prompt needs is promised at admission.
func (c *Controller) oldestInNeed() (oldest *sequence) {
	for _, s := range c.running {
		if s.computed >= s.holding.Covers() && s.computed < s.known && (oldest == nil || s.order(oldest, false) < 0) {
			oldest = s
		}
	}
	return oldest
}

// firstToYield is who is preempted where a page is needed.
func (c *Controller) firstToYield() (first *sequence) {
	for _, s := range c.running {
		if s.held = s.behind(); first == nil || s.yields(first) < 0 {
			first = s
		}
	}
	return first
}

// preempt takes all that s holds and lets it wait again.
func (c *Controller) preempt(s *sequence) {
	c.strip(s, true) // what is computed may still be there when it comes back
	more := int64(s.computed) * int64(s.loops)
	s.running, s.parked = false, time.Time{}
	s.client.running--
	s.stats.Preemptions++
	c.stats.Preempted++
	if s.held {
		c.stats.Released++
	}
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

// makeRoom preempts sequences that give way to s, one after the other until it is admitted, if all of them are enough for that.
func (c *Controller) makeRoom(s *sequence) bool {
	list := c.givingWay(s)
	if !c.memory.Room(&s.holding, s.known, holdings(list)) {
		return false
	}
	for _, v := range list {
		if v.client != s.client && !v.held {
			c.stats.Yielded++
		}
		c.preempt(v)
		if c.fits() && c.reserve(s) {
			return true
		}
	}
	return false
}

// givingWay lists the running sequences that may be preempted for s, in that order: those that wait for a reader; those of
// lower priority; of clients that hold more, as many as leave them no less than s would make its own; and those that came
// later and passed s, once its patience is over. None of them can do the same to s, which is why this ends.
func (c *Controller) givingWay(s *sequence) []*sequence {
	overdue := !s.blocked.IsZero() && c.began.Sub(s.blocked) >= c.cfg.Patience
	list := append(c.victims[:0], c.running...)
	for _, v := range list {
		v.held, v.client.left = v.behind(), v.client.running
	}
	slices.SortFunc(list, (*sequence).yields)
	share := s.client.share(1)
	list = slices.DeleteFunc(list, func(v *sequence) bool {
		k, gives := v.client, v.held || v.background() > s.background()
		switch {
		case gives || v.background() < s.background():
		case k == s.client && v.req.Priority > s.req.Priority, overdue && v.passed && v.serial > s.serial:
			gives = true
		case k != s.client:
			gives = float64(k.left-1)/k.weight >= share
		}
		if gives {
			k.left--
		}
		return !gives
	})
	c.victims = list
	return list
}

// holdings are the pages of sequences.
func holdings(of []*sequence) iter.Seq[*kv.Holding] {
	return func(yield func(*kv.Holding) bool) {
		for _, s := range of {
			if !yield(&s.holding) {
				return
			}
		}
	}
}
