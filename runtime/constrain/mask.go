package constrain

// allowed returns a bit for each id that may come at a state, which is current. Where the masks that are remembered are
// too many, all are forgotten, as the states are.
func (m *Automaton) allowed(s *state) []uint64 {
	if s == dead {
		return nil
	}
	if s.mask == nil {
		s.mask = m.search(s)
		m.masked = append(m.masked, s)
		if 8*len(s.mask)*len(m.masked) > maxMaskBytes {
			m.forgetMasks(s)
		}
	}
	return s.mask
}

// forgetMasks forgets all masks but one state's.
func (m *Automaton) forgetMasks(but *state) {
	for _, s := range m.masked {
		if s != but {
			s.mask = nil
		}
	}
	clear(m.masked)
	m.masked = append(m.masked[:0], but)
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
	m.walk++
	m.work = 0
	end := int32(len(v.trie))
	for i := int32(0); i < end; i = v.trie[i].end {
		if n := &v.trie[i]; n.to > n.from && m.pass(start, n.letter) != dead {
			take(n.from, n.to)
		}
	}
	m.path[0] = start
	m.visit(start)
	for i := int32(0); i < end && m.work <= walkWork; {
		n := &v.trie[i]
		to := m.pass(m.path[n.depth-1], n.letter)
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

// pass is a step that the walk pays for each time, whatever is remembered.
func (m *Automaton) pass(s *state, b byte) *state {
	to := m.step(s, b)
	m.work += int(s.passed[m.class(s, b)])
	return to
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
