package loopctl

import (
	"cmp"
	"slices"
	"time"
)

// starvedLimit is how many ticks prompts may find no room beside decode rows before some is kept for them.
const starvedLimit = 8

// choose plans the block call. Decode rows go first, one for each sequence that decodes; prompts take turns at what is
// left, at most RowBudget rows while somebody decodes; guesses get what nobody else wants. Where there is not room for
// all, clients that have had less come first, and of one client those who were served go to the back: with n sequences that can run, each is served within n ticks, whatever
// the depths.
func (c *Controller) choose() {
	if len(c.clients) > 1 {
		slices.SortStableFunc(c.running, func(a, b *sequence) int { return cmp.Compare(a.client.used, b.client.used) })
	}
	decodes, prompts := c.census()
	c.chances.company = decodes
	room := c.capacity.MaxRows - c.rowsForCoda()
	kept := 0
	if prompts > 0 && c.promptStarvedTicks >= starvedLimit {
		kept = min(room, c.starved(decodes >= room))
	}
	for _, s := range c.running {
		if s.ready && room > kept {
			room -= c.chooseDecode(s)
		}
	}
	left := room
	if len(c.looping) > 0 {
		room = min(room, c.cfg.RowBudget)
	}
	c.blocked = false
	for _, s := range c.running {
		if s.ready && room > 0 {
			most := room
			if (c.capacity.Whole || c.capacity.Beyond > 0) && c.together(s) {
				most = left // a prompt that must not be cut may be longer than RowBudget
			}
			n := c.choosePrompt(s, most)
			room, left = room-n, left-n
		}
	}
	for _, s := range c.running {
		if s.known < len(s.tokens) && s.ready && left > 0 {
			left -= c.chooseGuesses(s, left)
		}
	}
	if prompts > 0 && c.stats.Prefill == 0 {
		c.promptStarvedTicks++
	} else {
		c.promptStarvedTicks = 0
	}
	c.rotate()
}

// starved is how many rows are kept for the first prompt in order: all that it takes where they must be in one call and latents
// do not lack, else some where the call is full of decode rows.
func (c *Controller) starved(full bool) int {
	for _, s := range c.running {
		if !s.ready {
			continue
		}
		_, rows := c.runnable(s)
		switch {
		case rows == 0:
		case c.together(s) && (s.inLoop() > 0 || rows <= c.latents.spare(s.latents)):
			return rows
		case full:
			return max(1, min(c.cfg.RowBudget, max(c.capacity.MaxRows/4, c.cfg.WrapRows)))
		default:
			return 0
		}
	}
	return 0
}

// census marks who can run, parks those whose reader is behind, lets cohorts gather, and counts the runnable rows.
func (c *Controller) census() (decodes, prompts int) {
	c.open = c.cfg.Scheduling != ScheduleLockstep ||
		!slices.ContainsFunc(c.running, func(s *sequence) bool { return s.inLoop() > 0 })
	for _, s := range c.running {
		s.served, s.ready, s.held, s.aside = false, true, false, false
		if s.behind() {
			c.stats.Parked++
			s.held, s.ready = true, len(s.chunks) > 0 // rows of its prompt may still loop
			s.parked = cmp.Or(s.parked, c.began)
		} else {
			s.parked = time.Time{}
		}
	}
	c.align()
	for _, s := range c.running {
		if s.ready {
			d, p := c.runnable(s)
			decodes, prompts = decodes+d, prompts+p
		}
	}
	c.stats.Runnable = decodes + prompts
	return decodes, prompts
}

// rowsForCoda is how many rows have left the loop and could be in this tick's coda call: they get their room in it before
// further rows loop.
func (c *Controller) rowsForCoda() int {
	n := 0
	for _, s := range c.running {
		for _, k := range s.chunks {
			if !k.left {
				break
			}
			n += c.codaRows(k)
		}
	}
	return min(n, c.capacity.MaxRows)
}

// runnable is how many rows of s could be in the next block call. Guesses don't count: they use room that is left over.
func (c *Controller) runnable(s *sequence) (decodes, prompts int) {
	for i, k := range s.chunks {
		switch {
		case k.left || !c.couldRun(s, i):
		case !k.decode:
			prompts += k.rows()
		case k.first == s.known-1:
			decodes++
		}
	}
	if c.mayEnter(s) {
		if s.decoding() {
			if s.computed == s.known-1 {
				decodes++
			}
		} else {
			prompts += c.entrance(s)
		}
	}
	return decodes, prompts
}

// mayRun says whether chunk i may run: the one before it must have been at this depth in an earlier call, or be in this
// very one. (All K and V of a call are written before any of its rows looks.)
func (c *Controller) mayRun(s *sequence, i int) bool {
	b := s.before(i)
	return b == nil || s.chunks[i].depth < b.depth || s.chunks[i].depth == b.depth && b.chosen == c.turns
}

// couldRun is mayRun, if all before i get their room.
func (c *Controller) couldRun(s *sequence, i int) bool {
	b := s.before(i)
	return b == nil || s.chunks[i].depth <= b.depth
}

// mayEnter says whether a further chunk may enter at depth 0.
func (c *Controller) mayEnter(s *sequence) bool {
	if !c.open || s.held || s.uncomputed() == 0 {
		return false
	}
	b := s.before(len(s.chunks))
	switch {
	case b == nil:
		return len(s.chunks) == 0 || !c.solo(s, s.computed)
	case c.together(s) || c.solo(s, s.computed):
		return false
	default:
		return b.depth > 0
	}
}

// solo says whether the row at a position must be alone: it will be probed, so it may leave before rows of its own chunk
// would, and all rows before it have to be through first. The coda's layers look at them, Scorer and OnLatent take them in
// order, and with MaxTokens 0 the sequence ends with it.
func (c *Controller) solo(s *sequence, position int) bool { return position == s.known-1 && c.solos(s) }

func (c *Controller) solos(s *sequence) bool {
	return s.ordered && (s.req.Lens > 0 || s.exit.Kind.Probes())
}

// together says that rows of s go through the loop in one call or not at all: always where planes are written more than
// once, and while a prompt loops whose rows see each other.
func (c *Controller) together(s *sequence) bool {
	b := s.before(len(s.chunks))
	return s.wraps || c.capacity.Whole && (s.computed == 0 || b != nil && b.first < len(s.req.Prompt))
}

// entrance is how many rows the next chunk of a prompt has, if there is room for it.
func (c *Controller) entrance(s *sequence) int {
	n := min(c.cfg.ChunkRows, s.known-s.computed)
	if c.capacity.Whole && s.computed == 0 {
		return len(s.req.Prompt)
	}
	if s.wraps { // always the same cut, since rows of a chunk see each other at their own depth
		switch prompt := len(s.req.Prompt); {
		case s.computed >= prompt:
			n = 1
		default:
			n = c.piece(s)
			if n > 1 && s.computed+n == prompt && c.solos(s) {
				n-- // also when it is computed again and will not be probed
			}
		}
		return n
	}
	if n > 1 && c.solo(s, s.computed+n-1) {
		n--
	}
	if len(s.req.Replay) > 0 && c.capacity.Trajectories != TrajectoryNone { // rows that are computed again: a chunk has one step
		to, _ := s.target(s.computed)
		for i := 1; i < n; i++ {
			if t, _ := s.target(s.computed + i); t != to {
				return i
			}
		}
	}
	return n
}

// piece is how many rows of the prompt, from the next one on, are in one chunk where planes are written more than once.
func (c *Controller) piece(s *sequence) int {
	first, rows := 0, c.cfg.WrapRows
	for _, end := range s.req.Cut {
		if s.computed < end {
			return end - s.computed
		}
		first = end
	}
	return min(rows-(s.computed-first)%rows, len(s.req.Prompt)-s.computed)
}

// chooseDecode plans the newest known row of a sequence that decodes.
func (c *Controller) chooseDecode(s *sequence) (used int) {
	if s.decoding() && s.computed == s.known-1 && c.mayEnter(s) && c.latents.spare(s.latents) > 0 {
		c.enterOne(s)
		return 1
	}
	for i := len(s.chunks) - 1; i >= 0; i-- {
		if k := s.chunks[i]; k.decode && !k.left && k.first == s.known-1 && c.mayRun(s, i) {
			c.take(s, k)
			return 1
		}
	}
	return 0
}

// enterOne lets the next token in, a row of its own.
func (c *Controller) enterOne(s *sequence) {
	k := c.enter(s, 1)
	k.decode = true
	c.take(s, k)
}

// choosePrompt plans a prompt's chunks, the deepest first, then one that enters. A chunk is cut only where it could
// not run otherwise: pieces march on apart.
func (c *Controller) choosePrompt(s *sequence, room int) (used int) {
	if c.together(s) && s.inLoop() > room { // its rows are at one depth and stay together
		c.blocked = true
		return 0
	}
	for i := range len(s.chunks) { // a cut adds one, for which there is no room
		k := s.chunks[i]
		if k.left || k.decode || !c.mayRun(s, i) {
			continue
		}
		if k.rows() > room-used {
			if c.stats.Prefill > 0 || room <= used {
				return used
			}
			c.split(s, i, room-used)
		}
		used += c.choosePiece(s, k)
	}
	if s.decoding() || c.blocked || !c.mayEnter(s) {
		return used
	}
	whole := c.entrance(s)
	n := min(whole, room-used, c.latents.spare(s.latents))
	if c.together(s) && n < whole {
		c.blocked = true // whoever comes behind it must not take what it waits for
		return used
	}
	if n < 1 || (2*n < whole && c.stats.Prefill > 0) {
		return used // a sliver would be a span of its own at every depth: better wait a tick
	}
	return used + c.choosePiece(s, c.enter(s, n))
}

// inLoop is how many rows of s loop.
func (s *sequence) inLoop() int {
	n := 0
	for _, k := range s.chunks {
		if !k.left {
			n += k.rows()
		}
	}
	return n
}

func (c *Controller) choosePiece(s *sequence, k *chunk) int {
	c.take(s, k)
	c.stats.Prefill += k.rows()
	return k.rows()
}

func (c *Controller) take(s *sequence, k *chunk) {
	s.served, k.chosen = true, c.turns
	if !s.auto || k.first < s.known { // nobody asked for the guess: what it took is charged where it was right
		s.client.charge(k.rows())
	}
	c.looping = append(c.looping, k)
}

// rotate sends those who were served behind those who could have been and were not.
func (c *Controller) rotate() {
	if !slices.ContainsFunc(c.running, func(s *sequence) bool { return s.ready && !s.served }) {
		return
	}
	c.served = c.served[:0]
	c.running = slices.DeleteFunc(c.running, func(s *sequence) bool {
		if s.served {
			c.served = append(c.served, s)
		}
		return s.served
	})
	c.running = append(c.running, c.served...)
	clear(c.served)
}
