package loopctl

// patience is how many ticks prompts may find no room beside decode rows before some is kept for them.
const patience = 8

// choose plans the block call. Decode rows go first, one for each sequence that decodes; prompts take turns at what is
// left, at most RowBudget rows while somebody decodes. Where there is not room for all, those who were served go to
// the back: with n sequences that can run, each is served within n ticks, whatever the depths.
func (c *Controller) choose() {
	decodes, prompts := c.census()
	room := c.limits.MaxRows
	kept := 0
	if prompts > 0 && decodes >= room && c.hungry >= patience {
		kept = max(1, min(c.cfg.RowBudget, room/4))
	}
	for _, s := range c.running {
		if s.ready && s.decoding() && room > kept {
			c.chooseDecode(s)
			room--
		}
	}
	if len(c.plan) > 0 && room > c.cfg.RowBudget {
		room = c.cfg.RowBudget
	}
	for _, s := range c.running {
		if s.ready && !s.decoding() && room > 0 {
			room -= c.choosePrompt(s, room)
		}
	}
	if prompts > 0 && c.stats.Prefill == 0 {
		c.hungry++
	} else {
		c.hungry = 0
	}
	c.rotate()
}

// census marks who can run, parks those whose reader is behind, and counts the runnable rows.
func (c *Controller) census() (decodes, prompts int) {
	for _, s := range c.running {
		s.served, s.ready = false, true
		if !s.decoding() {
			prompts += s.runnable(c.cfg.ChunkRows)
			continue
		}
		if len(s.chunks) == 0 && s.stream.park() {
			s.ready = false
			c.stats.Parked++
			continue
		}
		decodes++
	}
	c.stats.Runnable = decodes + prompts
	return decodes, prompts
}

// runnable is how many of a prompt's rows could be in the next block call.
func (s *sequence) runnable(chunkRows int) int {
	n := 0
	for i, k := range s.chunks {
		if s.clear(i) {
			n += k.rows()
		}
	}
	if s.mayEnter() {
		n += min(chunkRows, s.unfed())
	}
	return n
}

// clear says whether chunk i may run: the one before it must have been at this depth, in an earlier call.
func (s *sequence) clear(i int) bool { return i == 0 || s.chunks[i].depth < s.chunks[i-1].depth }

// mayEnter says whether a further chunk may enter at depth 0.
func (s *sequence) mayEnter() bool {
	n := len(s.chunks)
	return s.unfed() > 0 && (n == 0 || s.chunks[n-1].depth > 0)
}

func (c *Controller) chooseDecode(s *sequence) {
	s.served = true
	if len(s.chunks) == 0 {
		c.fresh = append(c.fresh, c.enter(s, 1))
	}
	c.plan = append(c.plan, s.chunks[0])
}

// choosePrompt plans a prompt's chunks, the deepest first, then one that enters. A chunk is cut only where it could
// not run otherwise: pieces march on apart.
func (c *Controller) choosePrompt(s *sequence, room int) (used int) {
	for i := range len(s.chunks) { // a cut adds one, for which there is no room
		if !s.clear(i) {
			continue
		}
		if s.chunks[i].rows() > room-used {
			if c.stats.Prefill > 0 {
				return used
			}
			c.split(s, i, room-used)
		}
		used += c.choosePiece(s, s.chunks[i])
	}
	whole := min(c.cfg.ChunkRows, s.unfed())
	n := min(whole, room-used, c.spareLatents(s))
	if n < 1 || !s.mayEnter() || (2*n < whole && c.stats.Prefill > 0) {
		return used // a sliver would be a span of its own at every depth: better wait a tick
	}
	k := c.enter(s, n)
	c.fresh = append(c.fresh, k)
	return used + c.choosePiece(s, k)
}

func (c *Controller) choosePiece(s *sequence, k *chunk) int {
	s.served = true
	c.plan = append(c.plan, k)
	c.stats.Prefill += k.rows()
	return k.rows()
}

// spareLatents is how many slots s may take and leave one for each sequence that holds none.
func (c *Controller) spareLatents(s *sequence) int {
	n := len(c.latents) - c.emptyHanded
	if s.slots == 0 {
		n++
	}
	return n
}

// split cuts chunk i of s after n rows.
func (c *Controller) split(s *sequence, i, n int) {
	k := s.chunks[i]
	rest := &chunk{seq: s, first: k.first + n, depth: k.depth, slots: append(make([]int32, 0, c.cfg.ChunkRows), k.slots[n:]...)}
	k.slots = k.slots[:n]
	s.chunks = append(s.chunks, nil)
	copy(s.chunks[i+2:], s.chunks[i+1:])
	s.chunks[i+1] = rest
}

// rotate sends those who were served behind those who could have been and were not.
func (c *Controller) rotate() {
	left := false
	for _, s := range c.running {
		left = left || (s.ready && !s.served)
	}
	if !left {
		return
	}
	c.turn = c.turn[:0]
	n := 0
	for _, s := range c.running {
		if s.served {
			c.turn = append(c.turn, s)
			continue
		}
		c.running[n] = s
		n++
	}
	copy(c.running[n:], c.turn)
	clear(c.turn)
}
