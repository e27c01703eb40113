package jinja

// scope holds the variables of one block: the template, a loop's turn, a
// macro's call, a with. Few names are usual, so they are searched in order.
type scope struct {
	parent *scope
	names  []string
	vals   []Value
	index  map[string]int // once there are many
}

func (s *scope) set(name string, v Value) {
	if s.index != nil {
		if i, ok := s.index[name]; ok {
			s.vals[i] = v
			return
		}
		s.index[name] = len(s.names)
	} else {
		for i, n := range s.names {
			if n == name {
				s.vals[i] = v
				return
			}
		}
		if len(s.names) == 12 {
			s.index = make(map[string]int, 32)
			for i, n := range s.names {
				s.index[n] = i
			}
			s.index[name] = len(s.names)
		}
	}
	s.names = append(s.names, name)
	s.vals = append(s.vals, v)
}

func (s *scope) get(name string) (Value, bool) {
	for ; s != nil; s = s.parent {
		if s.index != nil {
			if i, ok := s.index[name]; ok {
				return s.vals[i], true
			}
			continue
		}
		for i, n := range s.names {
			if n == name {
				return s.vals[i], true
			}
		}
	}
	return nil, false
}

// lookup resolves a name: block variables, then the caller's variables, then
// globals.
func (m *machine) lookup(s *scope, name string) Value {
	if v, ok := s.get(name); ok {
		return v
	}
	if m.vars != nil {
		if v, ok := m.vars.Get(name); ok {
			return v
		}
	}
	if f, ok := globals[name]; ok {
		return f
	}
	return undefinedName(name)
}
