package jinja

func filterBatch(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("batch", 1, "linecount", "fill_with")
	if err != nil {
		return nil, err
	}
	size, err := needInt(p[0])
	if err != nil {
		return nil, err
	}
	next := m.iterateLate(v)
	over := false
	var held []Value // read past the full batch
	return &generator{kind: "generator", next: func() (Value, bool, error) {
		row := held
		held = nil
		for !over {
			x, ok, err := m.pull(next)
			if err != nil {
				return nil, false, err
			}
			if !ok {
				over = true
				break
			}
			if err := m.grow(16); err != nil {
				return nil, false, err
			}
			if int64(len(row)) == size {
				held = []Value{x}
				return &List{Items: row}, true, nil
			}
			row = append(row, x)
		}
		if len(row) == 0 {
			return nil, false, nil
		}
		if p[1] != absent && p[1] != nil && int64(len(row)) < size {
			if err := m.growTimes(16, size-int64(len(row))); err != nil {
				return nil, false, err
			}
			for int64(len(row)) < size {
				row = append(row, p[1])
			}
		}
		return &List{Items: row}, true, nil
	}}, nil
}

func filterSlice(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("slice", 1, "slices", "fill_with")
	if err != nil {
		return nil, err
	}
	n, err := needInt(p[0])
	if err != nil {
		return nil, err
	}
	items, err := m.list(v)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, failf("ZeroDivisionError", "integer division or modulo by zero")
	}
	size, extra := int64(len(items))/max(n, 1), int64(len(items))%max(n, 1)
	i, from := int64(0), int64(0)
	return &generator{kind: "generator", next: func() (Value, bool, error) {
		if i >= n {
			return nil, false, nil
		}
		to := from + size
		if i < extra {
			to++
		}
		if err := m.grow(16 * (to - from + 2)); err != nil {
			return nil, false, err
		}
		row := append([]Value(nil), items[from:to]...)
		if p[1] != absent && p[1] != nil && i >= extra {
			row = append(row, p[1])
		}
		from = to
		i++
		return &List{Items: row}, true, nil
	}}, nil
}

var groupFields = []string{"grouper", "list"}

func filterGroupby(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("groupby", 1, "attribute", "default", "case_sensitive")
	if err != nil {
		return nil, err
	}
	var def Value
	if p[1] != absent {
		def = p[1]
	}
	key, err := m.sortKey(p[0], p[2], def)
	if err != nil {
		return nil, err
	}
	real, err := m.attrGetter(p[0], def)
	if err != nil {
		return nil, err
	}
	items, err := m.list(v)
	if err != nil {
		return nil, err
	}
	keys, err := m.keysOf(items, key)
	if err != nil {
		return nil, err
	}
	if err := m.sortValues(items, keys, false); err != nil {
		return nil, err
	}
	out := &List{Items: []Value{}}
	for i := 0; i < len(items); {
		k, err := key(items[i])
		if err != nil {
			return nil, err
		}
		j := i + 1
		for ; j < len(items); j++ {
			other, err := key(items[j])
			if err != nil {
				return nil, err
			}
			same, err := m.equal(k, other)
			if err != nil {
				return nil, err
			}
			if !same {
				break
			}
		}
		shown, err := real(items[i])
		if err != nil {
			return nil, err
		}
		if err := m.grow(128); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, &Tuple{Items: []Value{shown, &List{Items: items[i:j:j]}}, fields: groupFields})
		i = j
	}
	return out, nil
}
