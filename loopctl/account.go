package loopctl

// A sequence's account is its Stats: usage, timings and metrics are all taken from it. It tells of what the answer holds,
// so each row counts once, when it first leaves the loop. Rows that are computed again after a preemption, and guesses
// that were wrong, are counted apart.

// enters counts the next n rows of s that go to the engine.
func (s *sequence) enters(n int) {
	s.stats.Recomputed += max(min(s.reached-s.computed, n), 0)
	s.reached = max(s.reached, s.computed+n)
}

// leaves counts a row that leaves the loop after so many loops.
func (s *sequence) leaves(position, depth int) {
	if position < len(s.req.Prompt) && s.loopsAt(position) == 0 {
		s.stats.PromptRows++
		s.stats.PromptLoops += depth
		s.note(position, depth)
	} else if s.varies {
		s.note(position, depth)
	}
}

// loopsAt is how many loops the row at a position did; 0 where that is not known.
func (s *sequence) loopsAt(position int) int {
	if position < len(s.depths) {
		return int(s.depths[position])
	}
	return 0
}

// settle closes the account of a sequence that has its whole answer. Rows of the prompt that still loop, since the last one
// left before them, count with the loops that were theirs to do, so that the account does not depend on how far they came
// beside others; where that is not known, with those that they have done.
func (s *sequence) settle() {
	for _, k := range s.chunks {
		for i := range k.rows() {
			depth := k.depth
			if !s.exit.free() {
				depth, _ = s.target(k.first + i)
			}
			if k.first+i < len(s.req.Prompt) {
				s.leaves(k.first+i, depth)
			}
		}
	}
	s.stats.CachedTokens = s.stats.PromptTokens - s.stats.PromptRows
}
