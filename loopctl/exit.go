package loopctl

import "slices"

// exit moves rows out of the loop: those that have reached their depth, and those whose policy says so from numbers of
// the graph. Then it lists who goes through the coda: rows that left, in order where that matters, and rows whose
// logits are only looked at.
func (c *Controller) exit() {
	first := 0
	for _, k := range c.looping {
		rows, s, depth := k.rows(), k.seq, k.depth
		decides := k.needsLogits()
		if s.varies {
			c.leave(k, first)
		} else if k.left = depth >= s.loops; k.left {
			c.count(k)
		}
		first += rows
		if decides && s.req.Lens > 0 { // the row that decides is the chunk's last
			s.seeLens(depth, &c.info, first-1)
		}
	}
	c.fill()
	c.settle()
}

// leave decides row by row, cuts the chunk where some leave and others stay, and notes what must be filled. The
// chunk's rows are in the packed call from row packed on.
func (c *Controller) leave(k *chunk, packed int) {
	s := k.seq
	c.going = c.going[:0]
	for i := range k.rows() {
		target, fixed := s.target(k.first + i)
		goes := k.depth >= target
		if !fixed && s.exit.free() { // asked after every loop
			passed := s.exit.passes(&k.states[i], numberOr(c.info.Delta, packed+i), numberOr(c.info.Gate, packed+i))
			goes = goes || passed && k.depth >= s.exit.MinLoops
		}
		c.going = append(c.going, goes)
	}
	for going := c.going; len(going) > 0; {
		run := 1 // rows that go or stay together
		for run < len(going) && going[run] == going[0] {
			run++
		}
		piece := k
		if run < len(going) {
			i := slices.Index(s.chunks, k)
			c.split(s, i, run)
			k = s.chunks[i+1]
		}
		if piece.left = going[0]; piece.left {
			c.count(piece)
		}
		going = going[run:]
	}
}

// count records a chunk's rows as having left at its depth: once for each row.
func (c *Controller) count(k *chunk) {
	s := k.seq
	for i := range k.rows() {
		s.leaves(k.first+i, k.depth)
	}
	c.stats.Exits[s.exit.Kind][k.depth] += k.rows()
	if skipped := s.loops - k.depth; skipped > 0 {
		c.pay(s, skipped*k.rows())
	}
	if c.memory.Skip(&s.holding, k.first, k.end(), k.depth) {
		c.filled = append(c.filled, s)
	}
}

// fill makes the copies that are noted: rows that left before the last plane become visible at the depths that they skipped. Where it
// fails, which it reports, those whose rows they are cannot go on.
func (c *Controller) fill() (failed bool) {
	fills := c.memory.TakeFills()
	if len(fills) == 0 {
		return false
	}
	c.stats.Fills += len(fills)
	if err := c.guardFill(fills); err != nil {
		failed = true
		c.cfg.Logger.Error("KV propagation failed", "err", err)
		for _, s := range c.filled {
			if !s.ended {
				c.end(s, Event{Finish: FinishError, Err: err})
			}
		}
	}
	clear(c.filled)
	c.filled = c.filled[:0]
	return failed
}

// settle lists who goes through the coda, as many rows as a call takes: first those that are only looked at, since they
// are what their policies decide by in this very tick.
func (c *Controller) settle() {
	room := c.capacity.MaxRows
	for _, s := range c.running {
		if k := c.probeOf(s); k != nil {
			k.probed = true
			c.probes = append(c.probes, k)
			room -= c.codaRows(k)
		}
	}
	for _, s := range c.running {
		room -= c.leavers(s, room)
	}
}

// leavers lists the rows of s that left the loop and go through the coda now, in order of position, and returns how
// many they are. Rows that nobody will look at again give their latents back at once.
func (c *Controller) leavers(s *sequence, room int) (used int) {
	bare := c.capacity.Pages[StageCoda] == 0
	for i := 0; i < len(s.chunks); i++ {
		k := s.chunks[i]
		if !k.left {
			if s.ordered {
				return used // nobody passes it
			}
			continue
		}
		if k.end() > s.known {
			return used // a guess: whether its logits are needed is known when its predecessor's token is
		}
		if bare && !k.needsLogits() && !k.scores() {
			c.depart(k)
			i--
			continue
		}
		if c.codaRows(k) > room-used {
			if room == used || !s.ordered {
				return used
			}
			c.split(s, i, room-used) // as much as there is room for
		}
		used += c.codaRows(k)
		c.leaving = append(c.leaving, k)
	}
	return used
}

// codaRows is how many rows a chunk has in the coda call. Without layers, and but for scoring, only the last one counts.
func (c *Controller) codaRows(k *chunk) int {
	if c.capacity.Pages[StageCoda] == 0 && !k.scores() {
		return 1
	}
	return k.rows()
}

// probeOf is the chunk of s whose logits are to be looked at in this tick without its leaving; nil if none is.
func (c *Controller) probeOf(s *sequence) *chunk {
	for i := len(s.chunks) - 1; i >= 0; i-- {
		k := s.chunks[i]
		if k.left || k.chosen != c.turns {
			continue
		}
		if k.needsLogits() && (s.req.Lens > 0 || s.decides(k)) || s.drafts(k) {
			return k
		}
	}
	return nil
}

// decides says whether the policy of s looks at the logits of k's last row after this loop.
func (s *sequence) decides(k *chunk) bool {
	_, fixed := s.target(k.end() - 1)
	return !fixed && s.exit.probesAt(k.depth)
}
