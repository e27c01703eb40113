package loopctl

import "slices"

// Drafting guesses a token from the logits after a few loops and lets the guess enter at depth 0 while its predecessor
// still loops: a wavefront of one-row chunks, each guessed from the one before it. When the predecessor's logits at full
// depth choose the guess, its loops are already done, in planes that are exactly those of plain decoding. When they
// choose another token, the guesses are taken back: what they wrote lies behind the newest row and is written over.
//
// Guesses are sampled by a copy of the sequence's sampler with its random state, so at any temperature a guess is right
// exactly where plain decoding would have drawn the same token: the answer does not change.

// drafts says whether the next token is to be guessed from chunk k, which has just been looped.
func (s *sequence) drafts(k *chunk) bool {
	return s.draft > 0 && len(s.tokens)-s.known < s.ahead && k.decode && !k.left && k.depth == s.draft && k.end() == len(s.tokens) &&
		len(s.tokens) < s.req.rows() && len(s.tokens) < s.holding.Covers() && s.stream.room(len(s.tokens)-s.known+2)
}

// guessFrom appends the token that the logits after so many loops say.
func (c *Controller) guessFrom(s *sequence, logits []float32, depth int) {
	if s.guess == nil {
		s.guess = s.req.Sampler.(Forking).Fork() // Submit has checked
	}
	tok, err := draw(s.guess, logits)
	if err != nil {
		c.cfg.Logger.Error("sampler failed on a draft token; the request goes on without drafts", "request", s.req.ID, "err", err)
		s.draft, s.auto, s.guess = 0, false, nil
		return
	}
	s.tokens, s.guessed = append(s.tokens, tok.ID), append(s.guessed, depth)
	s.stats.Drafted++
	c.stats.Drafted++
}

// confirm takes a token that full depth chose into the sequence. A right guess is there already; wrong ones go.
func (c *Controller) confirm(s *sequence, id int32) {
	if s.known < len(s.tokens) {
		right := s.tokens[s.known] == id
		c.chances.note(wager{s.loops, s.guessed[0]}, right) // s.draft may be another by now
		if right {
			s.guessed = slices.Delete(s.guessed, 0, 1)
			if s.auto {
				if i := slices.IndexFunc(s.chunks, func(k *chunk) bool { return k.first == s.known }); i >= 0 {
					s.client.charge(s.chunks[i].depth)
				}
			}
			s.known++
			s.stats.Accepted++
			c.stats.Accepted++
			if s.known == len(s.tokens) {
				s.guess = nil // the original has caught up with the copy
			}
			return
		}
		c.takeBack(s)
	}
	s.tokens = append(s.tokens, id)
	s.known++
}

// takeBack drops all guesses and the rows that they are.
func (c *Controller) takeBack(s *sequence) {
	if len(s.tokens) <= s.known {
		return
	}
	for n := len(s.chunks); n > 0 && s.chunks[n-1].first >= s.known; n-- {
		c.retire(s.chunks[n-1])
	}
	s.tokens, s.guessed, s.guess = s.tokens[:s.known], s.guessed[:0], nil
	s.computed, s.reached = min(s.computed, s.known), min(s.reached, s.known)
}

// chooseGuesses plans the rows of guesses, and lets one more enter.
func (c *Controller) chooseGuesses(s *sequence, room int) (used int) {
	for i, k := range s.chunks {
		if used < room && k.decode && !k.left && k.first >= s.known && c.mayRun(s, i) {
			c.take(s, k)
			used++
		}
	}
	if used < room && s.computed >= s.known && s.uncomputed() > 0 && c.mayEnter(s) && c.latents.spare(s.latents) > 0 {
		c.enterOne(s)
		used++
	}
	return used
}
