package jinja

import "strings"

// loop is the special variable of a for loop. It reads one element ahead only
// when asked, as Jinja's does.
type loop struct {
	m       *machine
	next    func() (Value, bool, error)
	index0  int64
	depth0  int64
	current Value
	before  Value
	ahead   []Value // read but not yet given
	over    bool
	size    int64 // -1 until known
	changed *Tuple
}

func (l *loop) peek() (bool, error) {
	if len(l.ahead) > 0 || l.over {
		return len(l.ahead) > 0, nil
	}
	v, ok, err := l.next()
	if err != nil {
		return false, err
	}
	if !ok {
		l.over = true
		return false, nil
	}
	l.ahead = append(l.ahead, v)
	return true, nil
}

func (l *loop) advance() (bool, error) {
	ok, err := l.peek()
	if err != nil || !ok {
		return false, err
	}
	l.before = l.current
	l.current = l.ahead[0]
	l.ahead = l.ahead[1:]
	l.index0++
	return true, nil
}

func (l *loop) length(m *machine) (int64, error) {
	if l.size < 0 {
		for !l.over {
			v, ok, err := l.next()
			if err != nil {
				return 0, err
			}
			if !ok {
				l.over = true
				break
			}
			if err := m.grow(16); err != nil {
				return 0, err
			}
			l.ahead = append(l.ahead, v)
		}
		l.size = l.index0 + 1 + int64(len(l.ahead))
	}
	return l.size, nil
}

func (m *machine) runFor(st *forStmt, s *scope, out *strings.Builder) error {
	iter, err := m.eval(st.iter, s)
	if err != nil {
		return err
	}
	next, err := m.iterate(iter)
	if err != nil {
		return err
	}
	l := &loop{m: m, index0: -1, size: -1, next: next}
	if st.test != nil {
		l.next = m.filtered(st, s, next)
	}
	none := true
	for {
		ok, err := l.advance()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		none = false
		turn := &scope{parent: s, names: make([]string, 0, 3), vals: make([]Value, 0, 3)}
		turn.set("loop", l)
		if err := m.assign(&st.target, l.current, turn); err != nil {
			return err
		}
		err = m.run(st.body, turn, out)
		if err == errBreak { //nolint:errorlint // never wrapped
			break
		}
		if err != nil && err != errContinue { //nolint:errorlint // never wrapped
			return err
		}
	}
	if none && st.alt != nil {
		return m.run(st.alt, &scope{parent: s}, out)
	}
	return nil
}

// filtered gives the elements that pass the loop's "if".
func (m *machine) filtered(st *forStmt, s *scope, next func() (Value, bool, error)) func() (Value, bool, error) {
	return func() (Value, bool, error) {
		for {
			v, ok, err := next()
			if err != nil || !ok {
				return nil, false, err
			}
			turn := &scope{parent: s}
			if err := m.assign(&st.target, v, turn); err != nil {
				return nil, false, err
			}
			keep, err := m.eval(st.test, turn)
			if err != nil {
				return nil, false, err
			}
			if truth(keep) {
				return v, true, nil
			}
		}
	}
}

// attr is loop.name.
func (l *loop) attr(name string) (Value, bool, error) {
	switch name {
	case "index0":
		return l.index0, true, nil
	case "index":
		return l.index0 + 1, true, nil
	case "depth0":
		return l.depth0, true, nil
	case "depth":
		return l.depth0 + 1, true, nil
	case "first":
		return l.index0 == 0, true, nil
	case "last":
		more, err := l.peek()
		return !more, true, err
	case "length", "revindex", "revindex0":
		n, err := l.length(l.m)
		switch name {
		case "revindex":
			n -= l.index0
		case "revindex0":
			n -= l.index0 + 1
		}
		return n, true, err
	case "previtem":
		if l.index0 == 0 {
			return &Undefined{hint: "there is no previous item"}, true, nil
		}
		return l.before, true, nil
	case "nextitem":
		more, err := l.peek()
		if err != nil || !more {
			return &Undefined{hint: "there is no next item"}, true, err
		}
		return l.ahead[0], true, nil
	case "cycle":
		return &function{name: "cycle", call: func(_ *machine, a *args) (Value, error) {
			if len(a.pos) == 0 {
				return nil, typeErr("no items for cycling given")
			}
			return a.pos[l.index0%int64(len(a.pos))], nil
		}}, true, nil
	case "changed":
		return &function{name: "changed", call: func(m *machine, a *args) (Value, error) {
			now := &Tuple{Items: a.pos}
			if l.changed != nil {
				same, err := m.equal(l.changed, now)
				if err != nil || same {
					return false, err
				}
			}
			l.changed = now
			return true, nil
		}}, true, nil
	}
	return nil, false, nil
}
