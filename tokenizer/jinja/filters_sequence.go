package jinja

import "strings"

func (m *machine) need(v Value) error {
	if u, ok := v.(*Undefined); ok {
		return u.fail()
	}
	return nil
}

func filterFirst(m *machine, v Value, _ *args) (Value, error) {
	next, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	x, ok, err := next()
	if err == nil && !ok {
		return &Undefined{hint: "No first item, sequence was empty."}, nil
	}
	return x, err
}

func filterLast(m *machine, v Value, _ *args) (Value, error) {
	var n int64
	switch v.(type) {
	case string, Markup, *List, *Tuple, *rangeValue, *Dict, *dictView, *Undefined:
		var err error
		if n, err = m.length(v); err != nil {
			return nil, err
		}
	default:
		return nil, typeErr("'%s' object is not reversible", typeName(v))
	}
	if n == 0 {
		return &Undefined{hint: "No last item, sequence was empty."}, nil
	}
	switch d := v.(type) {
	case *Dict:
		return d.keys[n-1], nil
	case *dictView:
		return d.at(int(n - 1)), nil
	}
	x, _, err := m.index(v, n-1)
	return x, err
}

func filterList(m *machine, v Value, _ *args) (Value, error) {
	items, err := m.list(v)
	if err != nil {
		return nil, err
	}
	return &List{Items: items}, nil
}

func filterItems(_ *machine, v Value, _ *args) (Value, error) {
	d, ok := v.(*Dict)
	if _, undef := v.(*Undefined); undef {
		d, ok = NewDict(), true
	}
	i := 0
	return &generator{kind: "generator", next: func() (Value, bool, error) {
		if !ok {
			return nil, false, typeErr("Can only get item pairs from a mapping.")
		}
		if i >= d.Len() {
			return nil, false, nil
		}
		i++
		return &Tuple{Items: []Value{d.keys[i-1], d.vals[i-1]}}, true, nil
	}}, nil
}

func filterJoin(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("join", 0, "d", "attribute")
	if err != nil {
		return nil, err
	}
	sep := ""
	if p[0] != absent {
		if sep, err = m.str(p[0]); err != nil {
			return nil, err
		}
	}
	get := identity
	if p[1] != absent && p[1] != nil {
		if get, err = m.attrGetter(p[1], nil); err != nil {
			return nil, err
		}
	}
	next, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i := 0; ; i++ {
		x, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return b.String(), nil
		}
		if x, err = get(x); err != nil {
			return nil, err
		}
		s, err := m.str(x)
		if err != nil {
			return nil, err
		}
		if err := m.grow(int64(len(s) + len(sep))); err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(s)
	}
}

func filterReverse(m *machine, v Value, _ *args) (Value, error) {
	if isStr(v) {
		back := int64(-1)
		return m.sliceText(v, [3]*int64{nil, nil, &back})
	}
	items, err := m.list(v)
	if err != nil {
		return nil, failf("FilterArgumentError", "argument must be iterable")
	}
	for i, j := 0, len(items)-1; i < j; i, j = i+1, j-1 {
		items[i], items[j] = items[j], items[i]
	}
	kind := "reversed"
	switch v.(type) {
	case *generator: // no reversed(): Jinja makes a list
		return &List{Items: items}, nil
	case *List:
		kind = "list_reverseiterator"
	case *Dict:
		kind = "dict_reversekeyiterator"
	case *dictView:
		kind = "dict_reverseitemiterator"
	case *rangeValue:
		kind = "range_iterator"
	}
	return &generator{kind: kind, next: overItems(m, items)}, nil
}

func identity(v Value) (Value, error) { return v, nil }

// attrGetter follows a dotted path, integers being indexes. def, if not nil,
// stands for what is undefined on the way.
func (m *machine) attrGetter(path, def Value) (func(Value) (Value, error), error) {
	parts := []Value{path}
	if s, ok := asString(path); ok {
		parts = parts[:0]
		if err := m.grow(int64(16*len(s) + 64)); err != nil {
			return nil, err
		}
		for _, p := range strings.Split(s, ".") {
			if n, ok := parseInt(p, 10); ok && strings.Trim(p, "0123456789") == "" {
				parts = append(parts, n)
			} else {
				parts = append(parts, p)
			}
		}
	} else if path == nil {
		parts = nil
	}
	return func(v Value) (Value, error) {
		for _, p := range parts {
			var err error
			if err = m.step(1); err != nil {
				return nil, err
			}
			if v, err = m.getItem(v, p); err != nil {
				return nil, err
			}
			if _, undef := v.(*Undefined); undef && def != nil {
				v = def
			}
		}
		return v, nil
	}, nil
}

// caseless lowers a str for comparing.
func (m *machine) caseless(v Value) (Value, error) {
	s, ok := asString(v)
	if !ok {
		return v, nil
	}
	if err := m.slowWork(len(s)); err != nil {
		return nil, err
	}
	return pyLower(s), m.grow(int64(len(s)))
}

// sortKey makes the key function of sort, unique, min, max and groupby.
func (m *machine) sortKey(attr, sensitive, def Value) (func(Value) (Value, error), error) {
	get := identity
	if attr != absent && attr != nil {
		var err error
		if get, err = m.attrGetter(attr, def); err != nil {
			return nil, err
		}
	}
	if sensitive != absent && truth(sensitive) {
		return get, nil
	}
	return func(v Value) (Value, error) {
		v, err := get(v)
		if err != nil {
			return nil, err
		}
		return m.caseless(v)
	}, nil
}

func (m *machine) keysOf(items []Value, key func(Value) (Value, error)) ([]Value, error) {
	if err := m.step(8 + len(items)); err != nil {
		return nil, err
	}
	if err := m.grow(int64(48 * len(items))); err != nil {
		return nil, err
	}
	keys := make([]Value, len(items))
	for i, x := range items {
		var err error
		if keys[i], err = key(x); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func filterSort(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("sort", 0, "reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	key, err := m.sortKey(p[2], p[1], nil)
	if err != nil {
		return nil, err
	}
	if s, ok := asString(p[2]); ok && strings.Contains(s, ",") {
		var gets []func(Value) (Value, error)
		for _, part := range strings.Split(s, ",") {
			g, err := m.sortKey(part, p[1], nil)
			if err != nil {
				return nil, err
			}
			gets = append(gets, g)
		}
		key = func(v Value) (Value, error) {
			t := &Tuple{}
			for _, g := range gets {
				x, err := g(v)
				if err != nil {
					return nil, err
				}
				t.Items = append(t.Items, x)
			}
			return t, m.grow(int64(16 * len(gets)))
		}
	}
	items, err := m.list(v)
	if err != nil {
		return nil, err
	}
	keys, err := m.keysOf(items, key)
	if err != nil {
		return nil, err
	}
	return &List{Items: items}, m.sortValues(items, keys, p[0] != absent && truth(p[0]))
}

func filterDictsort(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("dictsort", 0, "case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	by := "key"
	if p[1] != absent {
		by, _ = asString(p[1])
	}
	if by != "key" && by != "value" {
		return nil, failf("FilterArgumentError", `You can only sort by either "key" or "value"`)
	}
	if err := m.need(v); err != nil {
		return nil, err
	}
	d, ok := v.(*Dict)
	if !ok {
		return nil, failf("AttributeError", "'%s' object has no attribute 'items'", typeName(v))
	}
	items, err := m.list(&dictView{kind: "dict_items", d: d})
	if err != nil {
		return nil, err
	}
	part := int64(b2i(by == "value"))
	key, err := m.sortKey(part, p[0], nil)
	if err != nil {
		return nil, err
	}
	keys, err := m.keysOf(items, key)
	if err != nil {
		return nil, err
	}
	return &List{Items: items}, m.sortValues(items, keys, p[2] != absent && truth(p[2]))
}
