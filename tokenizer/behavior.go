package tokenizer

// finderStep splits by matches of something: characters or an expression.
type finderStep struct {
	pattern  matcher
	behavior behavior
	invert   bool // what is between the matches counts as the match
}

// matcher finds the next match of text at or after from; start < 0 when there
// is none. text is one piece: expressions see no further.
type matcher interface {
	next(text []byte, from int) (start, end int, err error)
}

// behavior says what becomes of the matches (Hugging Face's
// SplitDelimiterBehavior).
type behavior int

const (
	isolated behavior = iota
	removed
	contiguous
	mergedWithPrevious
	mergedWithNext
)

var behaviors = map[string]behavior{
	"Isolated": isolated, "Removed": removed, "Contiguous": contiguous,
	"MergedWithPrevious": mergedWithPrevious, "MergedWithNext": mergedWithNext,
}

// event is a stretch of a piece that is a match or lies between two.
type event struct {
	start, end int
	match      bool
}

func (f *finderStep) split(s *scratch) error {
	for _, p := range s.pieces {
		var err error
		if f.behavior == isolated {
			err = f.isolate(s, p)
		} else {
			err = f.merge(s, p)
		}
		if err != nil {
			return err
		}
	}
	s.flip()
	return nil
}

// isolate needs no list: matches and gaps are pieces alike.
func (f *finderStep) isolate(s *scratch, p piece) error {
	text := s.text[p.start:p.end]
	done := 0
	if e, ok := f.pattern.(*expression); ok {
		err := e.each(text, func(start, end int) {
			s.add(p, p.start+done, p.start+start)
			s.add(p, p.start+start, p.start+end)
			done = end
		})
		s.add(p, p.start+done, p.end)
		return err
	}
	for at := 0; at < len(text); {
		start, end, err := f.pattern.next(text, at)
		if err != nil {
			return err
		}
		if start < 0 {
			break
		}
		s.add(p, p.start+done, p.start+start)
		s.add(p, p.start+start, p.start+end)
		done, at = end, end
	}
	s.add(p, p.start+done, p.end)
	return nil
}

func (f *finderStep) merge(s *scratch, p piece) error {
	events, err := f.events(s.events[:0], s.text[p.start:p.end])
	s.events = events
	if err != nil {
		return err
	}
	previous, from := false, 0
	open := false // an uncommitted piece [from, last.end) exists
	end := 0
	commit := func() {
		if open {
			s.add(p, p.start+from, p.start+end)
		}
	}
	for i, e := range events {
		join := false
		switch f.behavior {
		case removed:
			if !e.match {
				s.add(p, p.start+e.start, p.start+e.end)
			}
			continue
		case contiguous:
			join = e.match == previous
		case mergedWithPrevious:
			join = e.match && !previous
		case mergedWithNext:
			join = i > 0 && events[i-1].match && !e.match
		}
		if !join || !open {
			commit()
			from, open = e.start, true
		}
		end = e.end
		previous = e.match
	}
	commit()
	return nil
}

// events lists the matches of text and what lies between them.
func (f *finderStep) events(list []event, text []byte) ([]event, error) {
	done := 0
	err := eachMatch(f.pattern, text, func(start, end int) {
		if done < start {
			list = append(list, event{done, start, f.invert})
		}
		list = append(list, event{start, end, !f.invert})
		done = end
	})
	if err != nil {
		return list, err
	}
	if done < len(text) {
		list = append(list, event{done, len(text), f.invert})
	}
	return list, nil
}

// eachMatch visits the matches of text in order. Only an expression can match
// nothing at all, which its own each deals with.
func eachMatch(m matcher, text []byte, visit func(start, end int)) error {
	if e, ok := m.(*expression); ok {
		return e.each(text, visit)
	}
	for at := 0; at < len(text); {
		start, end, err := m.next(text, at)
		if err != nil || start < 0 {
			return err
		}
		visit(start, end)
		at = end
	}
	return nil
}

// runeLen is the length of the first character of b, at least 1 so that loops
// go on.
func runeLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		if b[i]&0xC0 != 0x80 {
			return i
		}
	}
	return max(1, len(b))
}

// charMatcher matches one character at a time.
type charMatcher func(r rune) bool

func (is charMatcher) next(text []byte, from int) (int, int, error) {
	for i := from; i < len(text); {
		r, n := decodeRune(text[i:])
		if is(r) {
			return i, i + n, nil
		}
		i += n
	}
	return -1, -1, nil
}

// literalMatcher matches a fixed string.
type literalMatcher string
