package loopctl

import "slices"

// chunk is a run of rows that travel together: part of a prompt, or the one row that decodes. Chunks of a sequence are
// kept in order of position, and each is at a lower depth than the one before it, or at the same one and in the same
// calls: it finds in every plane the K and V that it must see. That is the wavefront.
type chunk struct {
	seq    *sequence
	first  int        // position of the first row
	slots  []int32    // one latent each
	states []rowState // one each, where the exit policy counts
	depth  int        // loops done
	decode bool       // one row, after the first token
	left   bool       // out of the loop, on its way through the coda
	probed bool       // this tick: its logits are only looked at
	chosen uint64     // the tick for which it was chosen last
}

// rowState is what an exit policy keeps of a row.
type rowState struct {
	cdf, rest float64 // of the gate: probability to have stopped, and not to have
	agree     int     // loops in a row that passed the threshold
}

func (k *chunk) rows() int { return len(k.slots) }
func (k *chunk) end() int  { return k.first + len(k.slots) }

// needsLogits says whether the chunk holds the newest known token, which the next one is sampled after.
func (k *chunk) needsLogits() bool { return k.end() == k.seq.known }

// scores says whether logits of all the chunk's rows are wanted.
func (k *chunk) scores() bool { return k.seq.req.Scorer != nil && k.first < len(k.seq.req.Prompt) }

// before is the chunk before chunk i that still loops; nil if none does.
func (s *sequence) before(i int) *chunk {
	for i--; i >= 0; i-- {
		if !s.chunks[i].left {
			return s.chunks[i]
		}
	}
	return nil
}

// blank is a chunk to be filled in.
func (c *Controller) blank() *chunk {
	if last := len(c.spare) - 1; last >= 0 {
		k := c.spare[last]
		c.spare = c.spare[:last]
		*k = chunk{slots: k.slots[:0], states: k.states[:0]}
		return k
	}
	return &chunk{slots: make([]int32, 0, c.cfg.ChunkRows)}
}

// enter makes a chunk of the next n tokens of s, each with a latent.
func (c *Controller) enter(s *sequence, n int) *chunk {
	k := c.blank()
	k.seq, k.first = s, s.computed
	k.slots = c.latents.take(k.slots, n, s.latents)
	if s.exit.free() {
		for range n {
			k.states = append(k.states, rowState{rest: 1})
		}
	}
	s.latents += n
	if c.memory.Begin(&s.holding, s.computed) {
		c.filled = append(c.filled, s)
	}
	s.enters(n)
	s.computed += n
	s.chunks = append(s.chunks, k)
	c.entering = append(c.entering, k)
	if s.stats.Scheduled.IsZero() {
		s.stats.Scheduled = c.began.Add(max(s.stats.Arrived.Sub(c.began), 0)) // it may have come since
	}
	return k
}

// retire takes a chunk from its sequence and frees its latents.
func (c *Controller) retire(k *chunk) {
	s := k.seq
	i := slices.Index(s.chunks, k)
	s.chunks = slices.Delete(s.chunks, i, i+1)
	s.latents -= k.rows()
	c.latents.give(k.slots, s.latents)
	k.seq, k.slots = nil, k.slots[:0]
	c.retired = append(c.retired, k)
}

// split cuts chunk i of s after n rows.
func (c *Controller) split(s *sequence, i, n int) {
	k := s.chunks[i]
	rest := c.blank()
	rest.seq, rest.first, rest.depth, rest.decode, rest.left, rest.chosen = s, k.first+n, k.depth, k.decode, k.left, k.chosen
	rest.slots = append(rest.slots, k.slots[n:]...)
	k.slots = k.slots[:n]
	if len(k.states) > 0 {
		rest.states = append(rest.states, k.states[n:]...)
		k.states = k.states[:n]
	}
	s.chunks = slices.Insert(s.chunks, i+1, rest)
}
