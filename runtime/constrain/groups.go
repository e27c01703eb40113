package constrain

// groupOf puts bytes that forms seldom tell apart into groups, so that a trie node can say in 64 bits what stands below
// it: each sign of ASCII alone, letters that are hexadecimal digits, other letters, digits, and so on.
var groupOf = func() (of [256]uint8) {
	next := uint8(1) // 0: the other control characters
	for _, firstLast := range []string{"09", "af", "gz", "AF", "GZ", "\x80\xBF", "\xC0\xFF", "\n\n", "\r\r", "\t\t", "\x7F\x7F"} {
		for b := int(firstLast[0]); b <= int(firstLast[1]); b++ {
			of[b] = next
		}
		next++
	}
	for b := byte(' '); b < 0x7F; b++ {
		if of[b] == 0 {
			of[b] = next
			next++
		}
	}
	return of
}()

// bytesOf are a group's bytes.
var bytesOf = func() (of [64][]byte) {
	for b := range 256 {
		of[groupOf[b]] = append(of[groupOf[b]], byte(b))
	}
	return of
}()

// mainOf finds where most bytes lead from s, and which groups lead there: inside a string that is the string itself, or,
// where its length is bounded, the same with one character less to come.
func (m *Automaton) mainOf(s *state) {
	s.main = dead
	for _, b := range []byte("ga0 ") {
		s.main = m.step(s, b)
		s.price += int(s.passed[m.class(s, b)])
		if s.main != dead {
			break
		}
	}
	if s.main == dead {
		return
	}
	for g, bytes := range bytesOf {
		whole := len(bytes) > 0
		for _, b := range bytes {
			whole = whole && m.step(s, b) == s.main
			s.price += int(s.passed[m.class(s, b)])
		}
		if whole {
			s.loop |= 1 << g
		}
	}
}

// takesAll says whether every text of at most height bytes of the groups may come at s. It is not asked what lies beyond
// the walk's bound.
func (m *Automaton) takesAll(s *state, groups uint64, height int) bool {
	for range height {
		if !m.visit(s) {
			return false
		}
		if s.main == nil {
			m.mainOf(s)
		}
		m.work += s.price
		switch {
		case groups&^s.loop != 0:
			return false
		case s.main == s:
			return true
		}
		s = s.main
	}
	return true
}
