package loopctl

// Sequences of equal loops that enter in one tick leave in one tick, and again with each token: a cohort, whose coda is one
// call, and reading the head is most of what that costs. So a token may wait for a tick in which others of its loops enter.
//
// It waits where the calls that are saved are worth more than the ticks that are lost, by measured cost, and where the others'
// waiting for it would cost more. First tokens wait for nothing.

// foresight is how many further tokens a cohort is expected to have, at most: answers may end early.
const foresight = 32

// align says which sequences' next tokens wait for a later tick.
func (c *Controller) align() {
	saved := c.costs[StageCoda].fixed()
	tick := c.shown.SecondsPerTick
	if saved <= 0 || tick <= 0 || c.cfg.Scheduling == ScheduleLockstep || len(c.running) > c.capacity.MaxRows {
		return
	}
	for _, s := range c.running {
		if s.cohort != c.turns && s.distance() == 0 {
			wait := c.cohort(s.loops, saved/tick)
			for _, q := range c.running {
				if q.loops == s.loops && q.distance() == 0 {
					q.cohort = c.turns
					// All that a sequence ever waits is bounded, whoever comes and goes.
					if q.aside = wait && q.waited < q.loops*(2+q.stats.CompletionTokens/16); q.aside {
						q.waited++
						q.ready = false
					}
				}
			}
		}
	}
}

// cohort says whether the sequences of so many loops that could enter now better wait for others. saved is what a call of
// the coda costs beside its rows, in ticks.
func (c *Controller) cohort(loops int, saved float64) bool {
	at := append(c.phases[:0], make([]int, loops)...) // sequences by the ticks until they enter
	c.phases = at
	tokens, profit := 0, 0 // who is parked or blocked gets nothing of a tick that is saved
	for _, q := range c.running {
		if q.ready || q.aside {
			profit++
		}
		if d := q.distance(); q.loops == loops && d >= 0 && d < loops {
			at[d]++
			if d == 0 {
				tokens = max(tokens, min(q.req.MaxTokens-q.stats.CompletionTokens, foresight))
			}
		}
	}
	gain := saved * float64(tokens*profit)
	for d := 1; d < loops; d++ {
		if n := at[d]; n > 0 && at[0]*d <= n*(loops-d) && float64(at[0]*d) < gain {
			return true
		}
	}
	return false
}

// distance is how many ticks pass until the next token of s enters; −1 where that isn't known: it has none yet, or may leave early.
func (s *sequence) distance() int {
	if s.varies || s.draft > 0 || s.known < len(s.tokens) || s.held || !s.ready && !s.aside {
		return -1
	}
	for i := len(s.chunks) - 1; i >= 0; i-- {
		if k := s.chunks[i]; k.needsLogits() {
			return max(s.loops-k.depth, 1)
		}
	}
	if s.decoding() && s.computed == s.known-1 {
		return 0
	}
	return -1
}
