package loopctl

import "slices"

// grow promises each sequence that is about to feed a row beyond its pages the next ones, the oldest first. Where none
// are left the youngest is preempted: it waits again, keeps its tokens, and its K and V are computed again later.
func (c *Controller) grow() {
	for {
		s := c.oldestInNeed()
		if s == nil {
			return
		}
		for !c.extend(s) {
			v := c.youngest(func(v *sequence) bool { return true })
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
		if s.fed >= s.cover && s.fed < s.known && (oldest == nil || s.comesBefore(oldest)) {
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

// youngest is the last in that order among running sequences that fit; nil if none does.
func (c *Controller) youngest(fits func(*sequence) bool) (last *sequence) {
	for _, s := range c.running {
		if fits(s) && (last == nil || last.comesBefore(s)) {
			last = s
		}
	}
	return last
}

// extend promises s one more page for each plane, at all stages or at none.
func (c *Controller) extend(s *sequence) bool {
	var need [numStages]int
	for st := range numStages {
		need[st] = len(s.tables[st].planes)
	}
	if !c.promise(need) {
		return false
	}
	for st := range numStages {
		s.tables[st].reserved += need[st]
	}
	s.cover += c.capacity.PageSize
	return true
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

// makeRoom preempts running sequences of lower rank than s, the youngest first, if that is enough to admit it.
func (c *Controller) makeRoom(s *sequence) bool {
	lower := func(v *sequence) bool { return v.req.Priority > s.req.Priority }
	need := c.admission(s)
	free := [numStages]int{}
	for st := range numStages {
		free[st] = c.pools[st].available() + c.prefix.evictable[st]
	}
	count := 0
	for _, v := range c.running {
		if !lower(v) {
			continue
		}
		count++
		for st := range numStages {
			free[st] += v.tables[st].own()
		}
	}
	if count == 0 {
		return false
	}
	for st := range numStages {
		if free[st] < need[st] {
			return false
		}
	}
	c.preempt(c.youngest(lower))
	return true
}
