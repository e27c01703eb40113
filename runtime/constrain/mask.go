package constrain

import "container/list"

// mask has a bit for each id that may come.
type mask struct {
	bits  []uint64
	at    *list.Element
	state *state
}

// maskCache keeps the masks that were used last.
type maskCache struct {
	order list.List // of *mask, the last used in front
	bytes int
}

func (c *maskCache) forget() { c.order.Init(); c.bytes = 0 }

func (c *maskCache) put(m *mask) {
	m.at = c.order.PushFront(m)
	c.bytes += 8 * len(m.bits)
	for c.bytes > maxMaskBytes && c.order.Len() > 1 {
		old := c.order.Remove(c.order.Back()).(*mask)
		old.state.mask = nil
		c.bytes -= 8 * len(old.bits)
	}
}

// allowed returns the mask of a state that is current.
func (m *Automaton) allowed(s *state) []uint64 {
	if s == dead {
		return nil
	}
	if s.mask != nil {
		m.masks.order.MoveToFront(s.mask.at)
		return s.mask.bits
	}
	s.mask = &mask{bits: m.search(s), state: s}
	m.masks.put(s.mask)
	return s.mask.bits
}

// search walks over the vocabulary: first the tokens of one byte, which keep every state from being a dead end, then
// the longer ones, as far as the bound lets it. What it visits depends on the state alone, so that what was remembered
// decides nothing but the time.
func (m *Automaton) search(start *state) []uint64 {
	v := m.v
	bits := make([]uint64, (v.size()+63)/64)
	take := func(from, to int32) {
		for _, id := range v.tokens[from:to] {
			bits[id>>6] |= 1 << (id & 63)
		}
	}
	end := int32(len(v.trie))
	for i := int32(0); i < end; i = v.trie[i].end {
		if n := &v.trie[i]; n.to > n.from && m.step(start, n.letter) != dead {
			take(n.from, n.to)
		}
	}
	m.walk++
	m.work = 0
	m.path[0] = start
	m.visit(start)
	for i := int32(0); i < end && m.work <= walkWork; {
		n := &v.trie[i]
		to := m.step(m.path[n.depth-1], n.letter)
		switch {
		case to == dead:
			i = n.end
		case n.height > 0 && m.takesAll(to, n.groups, int(n.height)):
			take(n.from, n.last)
			i = n.end
		case !m.visit(to):
			i = end
		default:
			take(n.from, n.to)
			m.path[n.depth] = to
			i++
		}
	}
	return bits
}

// visit counts a state that the walk comes to for the first time: its positions may have to be tried with a byte of each
// class. It says whether the walk is still within its bound.
func (m *Automaton) visit(s *state) bool {
	if s.walked != m.walk {
		s.walked = m.walk
		m.work += 1 + len(s.positions)*m.p.numbers
	}
	return m.work <= walkWork
}
