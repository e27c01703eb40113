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
func (m *Machine) allowed(s *state) []uint64 {
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
// the longer ones, as far as the bounds let it. What it visits depends on the state alone, so that what was remembered
// decides nothing but the time.
func (m *Machine) search(start *state) []uint64 {
	v := m.v
	bits := make([]uint64, (v.size()+63)/64)
	take := func(n *trieNode) {
		for _, id := range v.tokens[n.from:n.to] {
			bits[id>>6] |= 1 << (id & 63)
		}
	}
	for i := int32(0); i < int32(len(v.trie)); i = v.trie[i].end {
		if n := &v.trie[i]; n.to > n.from && m.step(start, n.letter) != dead {
			take(n)
		}
	}
	m.walk++
	work, states := 0, 0
	m.path[0] = start
	for i := int32(0); i < int32(len(v.trie)); {
		n := &v.trie[i]
		from := m.path[n.depth-1]
		if from.walked != m.walk {
			from.walked = m.walk
			states++
		}
		if work += 1 + len(from.places); work > walkWork || states > walkStates {
			break
		}
		to := m.step(from, n.letter)
		if to == dead {
			i = n.end
			continue
		}
		take(n)
		m.path[n.depth] = to
		i++
	}
	return bits
}
