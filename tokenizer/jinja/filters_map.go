package jinja

func filterMap(m *machine, v Value, a *args) (Value, error) {
	next := m.lazily(v)
	var fn func(Value) (Value, error)
	prepare := func() error {
		if len(a.pos) == 0 {
			p, err := a.bind("map", 0, "attribute", "default")
			if err != nil {
				return failf("FilterArgumentError", "Unexpected keyword argument")
			}
			if p[0] == absent {
				return failf("FilterArgumentError", "map requires a filter argument")
			}
			var def Value
			if p[1] != absent {
				def = p[1]
			}
			fn, err = m.attrGetter(p[0], def)
			return err
		}
		name, _ := asString(a.pos[0])
		f := filterTable[name]
		if f == nil {
			return failf("TemplateRuntimeError", "No filter named %s.", quoteRepr(clip(name)))
		}
		rest := &args{pos: a.pos[1:], kwNames: a.kwNames, kwVals: a.kwVals}
		fn = func(x Value) (Value, error) { return f(m, x, rest) }
		return nil
	}
	return &generator{kind: "generator", next: func() (Value, bool, error) {
		if next == nil {
			return nil, false, nil
		}
		if fn == nil {
			if err := prepare(); err != nil {
				return nil, false, err
			}
		}
		x, ok, err := m.pull(next)
		if err != nil || !ok {
			return nil, false, err
		}
		x, err = fn(x)
		return x, err == nil, err
	}}, nil
}

// lazily gives the iteration of v, or nil if v is false. What cannot be
// iterated fails when it is, as in Jinja's generators.
func (m *machine) lazily(v Value) func() (Value, bool, error) {
	if !truth(v) {
		return nil
	}
	return m.iterateLate(v)
}

// iterateLate is iterate whose error comes with the first element.
func (m *machine) iterateLate(v Value) func() (Value, bool, error) {
	next, err := m.iterate(v)
	if err != nil {
		return func() (Value, bool, error) { return nil, false, err }
	}
	return next
}

// pull bounds how deep generators read from generators.
func (m *machine) pull(next func() (Value, bool, error)) (Value, bool, error) {
	if err := m.enter(); err != nil {
		return nil, false, err
	}
	defer m.leave()
	if err := m.step(4); err != nil {
		return nil, false, err
	}
	return next()
}

func selectFilter(name string, attr, keep bool) filter {
	return func(m *machine, v Value, a *args) (Value, error) {
		next := m.lazily(v)
		var test func(Value) (bool, error)
		return &generator{kind: "generator", next: func() (Value, bool, error) {
			if next == nil {
				return nil, false, nil
			}
			if test == nil {
				var err error
				if test, err = m.prepareTest(a, attr); err != nil {
					return nil, false, err
				}
			}
			for {
				x, ok, err := m.pull(next)
				if err != nil || !ok {
					return nil, false, err
				}
				pass, err := test(x)
				if err != nil {
					return nil, false, err
				}
				if pass == keep {
					return x, true, nil
				}
			}
		}}, nil
	}
}

// prepareTest makes the predicate of select and its kin from the arguments
// [attribute,] [test name, test arguments…].
func (m *machine) prepareTest(a *args, attr bool) (func(Value) (bool, error), error) {
	if err := m.step(4); err != nil {
		return nil, err
	}
	get := identity
	pos := a.pos
	if attr {
		if len(pos) == 0 {
			return nil, failf("FilterArgumentError", "Missing parameter for attribute name")
		}
		var err error
		if get, err = m.attrGetter(pos[0], nil); err != nil {
			return nil, err
		}
		pos = pos[1:]
	}
	if len(pos) == 0 {
		return func(v Value) (bool, error) {
			v, err := get(v)
			return truth(v), err
		}, nil
	}
	name, _ := asString(pos[0])
	test := testTable[name]
	if test == nil {
		return nil, failf("TemplateRuntimeError", "No test named %s.", quoteRepr(clip(name)))
	}
	rest := &args{pos: pos[1:], kwNames: a.kwNames, kwVals: a.kwVals}
	return func(v Value) (bool, error) {
		v, err := get(v)
		if err != nil {
			return false, err
		}
		return test(m, v, rest)
	}, nil
}

func filterUnique(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("unique", 0, "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	key, err := m.sortKey(p[1], p[0], nil)
	if err != nil {
		return nil, err
	}
	next := m.iterateLate(v)
	seen := NewDict()
	return &generator{kind: "generator", next: func() (Value, bool, error) {
		for {
			x, ok, err := m.pull(next)
			if err != nil || !ok {
				return nil, false, err
			}
			k, err := key(x)
			if err != nil {
				return nil, false, err
			}
			_, had, err := seen.getValue(m, k)
			if err != nil {
				return nil, false, err
			}
			if !had {
				return x, true, seen.setValue(m, k, nil)
			}
		}
	}}, nil
}

func extremeFilter(name, op string) filter {
	return func(m *machine, v Value, a *args) (Value, error) {
		p, err := a.bind(name, 0, "case_sensitive", "attribute")
		if err != nil {
			return nil, err
		}
		key, err := m.sortKey(p[1], p[0], nil)
		if err != nil {
			return nil, err
		}
		items, err := m.list(v)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return &Undefined{hint: "No aggregated item, sequence was empty."}, nil
		}
		keys, err := m.keysOf(items, key)
		if err != nil {
			return nil, err
		}
		best := 0
		for i := 1; i < len(items); i++ {
			better, err := m.compareOp(op, keys[i], keys[best])
			if err != nil {
				return nil, err
			}
			if better {
				best = i
			}
		}
		return items[best], nil
	}
}

func filterSum(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("sum", 0, "attribute", "start")
	if err != nil {
		return nil, err
	}
	get := identity
	if p[0] != absent && p[0] != nil {
		if get, err = m.attrGetter(p[0], nil); err != nil {
			return nil, err
		}
	}
	total := p[1]
	if total == absent {
		total = int64(0)
	}
	if isStr(total) {
		return nil, typeErr("sum() can't sum strings [use ''.join(seq) instead]")
	}
	next, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	for {
		x, ok, err := next()
		if err != nil || !ok {
			return total, err
		}
		if x, err = get(x); err != nil {
			return nil, err
		}
		if total, err = m.binary("+", total, x); err != nil {
			return nil, err
		}
	}
}
