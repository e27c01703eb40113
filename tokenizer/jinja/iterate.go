package jinja

// iterate is Python's iter(v): a function that gives one element a call.
func (m *machine) iterate(v Value) (func() (Value, bool, error), error) {
	i := 0
	switch v := v.(type) {
	case *Undefined:
		return overItems(m, nil), nil
	case *List:
		return overItems(m, v.Items), nil
	case *Tuple:
		return overItems(m, v.Items), nil
	case *Dict:
		return overItems(m, v.keys), nil
	case *dictView:
		return func() (Value, bool, error) {
			if i >= v.d.Len() {
				return nil, false, nil
			}
			i++
			return v.at(i - 1), true, m.step(1)
		}, nil
	case *rangeValue:
		return func() (Value, bool, error) {
			if int64(i) >= v.n {
				return nil, false, nil
			}
			i++
			return v.start + int64(i-1)*v.step, true, m.step(1)
		}, nil
	case *generator:
		return v.next, nil
	case string, Markup:
		s, _ := asString(v)
		return func() (Value, bool, error) {
			for _, r := range s[i:] {
				i += len(string(r))
				return string(r), true, m.step(1)
			}
			return nil, false, nil
		}, nil
	}
	return nil, typeErr("'%s' object is not iterable", typeName(v))
}

func (v *dictView) at(i int) Value {
	switch v.kind {
	case "dict_keys":
		return v.d.keys[i]
	case "dict_values":
		return v.d.vals[i]
	}
	return &Tuple{Items: []Value{v.d.keys[i], v.d.vals[i]}}
}

func overItems(m *machine, items []Value) func() (Value, bool, error) {
	i := 0
	return func() (Value, bool, error) {
		if i >= len(items) {
			return nil, false, nil
		}
		i++
		return items[i-1], true, m.step(1)
	}
}

// list collects what iterate gives. The slice is the caller's own.
func (m *machine) list(v Value) ([]Value, error) {
	next, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	out := []Value{}
	for {
		x, ok, err := next()
		if err != nil || !ok {
			return out, err
		}
		if err := m.grow(32); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
}

// length is Python's len(v).
func (m *machine) length(v Value) (int64, error) {
	if s, ok := asString(v); ok {
		return int64(runeLen(s)), m.work(4 * len(s))
	}
	switch v := v.(type) {
	case *Undefined:
		return 0, nil
	case *List:
		return int64(len(v.Items)), nil
	case *Tuple:
		return int64(len(v.Items)), nil
	case *Dict:
		return int64(v.Len()), nil
	case *dictView:
		return int64(v.d.Len()), nil
	case *rangeValue:
		return v.n, nil
	case *loop:
		return v.length(m)
	}
	return 0, typeErr("object of type '%s' has no len()", typeName(v))
}
