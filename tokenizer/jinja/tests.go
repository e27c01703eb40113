package jinja

// testTable holds the tests that may follow "is".
var testTable map[string]func(m *machine, v Value, a *args) (bool, error)

// is makes a test of a plain predicate.
func is(f func(v Value) bool) func(*machine, Value, *args) (bool, error) {
	return func(_ *machine, v Value, a *args) (bool, error) {
		if len(a.pos)+len(a.kwNames) > 0 {
			return false, typeErr("this test takes no argument (%d given)", len(a.pos)+len(a.kwNames))
		}
		return f(v), nil
	}
}

func compareTest(op string) func(*machine, Value, *args) (bool, error) {
	return func(m *machine, v Value, a *args) (bool, error) {
		p, err := a.positional(op, 1, 1)
		if err != nil {
			return false, err
		}
		return m.compareOp(op, v, p[0])
	}
}

func remainderTest(want int64) func(*machine, Value, *args) (bool, error) {
	return func(m *machine, v Value, _ *args) (bool, error) {
		r, err := m.binary("%", v, int64(2))
		if err != nil {
			return false, err
		}
		return m.equal(r, want)
	}
}

func nameTest(known func(string) bool) func(*machine, Value, *args) (bool, error) {
	return func(m *machine, v Value, _ *args) (bool, error) {
		if _, err := hashKey(m, v); err != nil {
			return false, err
		}
		s, ok := asString(v)
		return ok && known(s), nil
	}
}

func init() { // here, because select and map lead from filters to tests and back
	testTable = map[string]func(*machine, Value, *args) (bool, error){
		"defined":   is(func(v Value) bool { _, u := v.(*Undefined); return !u }),
		"undefined": is(func(v Value) bool { _, u := v.(*Undefined); return u }),
		"none":      is(func(v Value) bool { return v == nil }),
		"boolean":   is(func(v Value) bool { _, ok := v.(bool); return ok }),
		"true":      is(func(v Value) bool { return v == true }),
		"false":     is(func(v Value) bool { return v == false }),
		"integer": is(func(v Value) bool {
			_, b := v.(bool)
			return !b && isInt(v)
		}),
		"float":   is(func(v Value) bool { _, ok := v.(float64); return ok }),
		"number":  is(isNumber),
		"string":  is(isStr),
		"mapping": is(func(v Value) bool { _, ok := v.(*Dict); return ok }),
		"sequence": is(func(v Value) bool {
			switch v.(type) {
			case string, Markup, *List, *Tuple, *Dict, *rangeValue, *Undefined:
				return true
			}
			return false
		}),
		"iterable": func(m *machine, v Value, _ *args) (bool, error) {
			if _, ok := v.(*loop); ok {
				return true, nil
			}
			_, err := m.iterate(v)
			return err == nil, nil
		},
		"callable": is(func(v Value) bool {
			switch v.(type) {
			case *function, *macro, *loop, *Undefined:
				return true
			}
			return false
		}),
		"escaped": is(func(v Value) bool { _, ok := v.(Markup); return ok }),
		"odd":     remainderTest(1),
		"even":    remainderTest(0),
		"divisibleby": func(m *machine, v Value, a *args) (bool, error) {
			p, err := a.bind("divisibleby", 1, "num")
			if err != nil {
				return false, err
			}
			r, err := m.binary("%", v, p[0])
			if err != nil {
				return false, err
			}
			return m.equal(r, int64(0))
		},
		"lower": func(m *machine, v Value, _ *args) (bool, error) {
			s, err := m.str(v)
			return isLowerText(s), err
		},
		"upper": func(m *machine, v Value, _ *args) (bool, error) {
			s, err := m.str(v)
			return isUpperText(s), err
		},
		"sameas": func(m *machine, v Value, a *args) (bool, error) {
			p, err := a.bind("sameas", 1, "other")
			if err != nil {
				return false, err
			}
			if typeName(v) != typeName(p[0]) {
				return false, nil
			}
			switch v.(type) {
			case *List, *Dict, *Tuple, *namespace, *macro, *generator:
				return v == p[0], nil
			}
			return m.equal(v, p[0])
		},
		"in": func(m *machine, v Value, a *args) (bool, error) {
			p, err := a.bind("in", 1, "seq")
			if err != nil {
				return false, err
			}
			return m.contains(p[0], v)
		},
		"filter": nameTest(func(s string) bool { return filterTable[s] != nil }),
		"test":   nameTest(func(s string) bool { return testTable[s] != nil }),
		"==":     compareTest("=="), "eq": compareTest("=="), "equalto": compareTest("=="),
		"!=": compareTest("!="), "ne": compareTest("!="),
		">": compareTest(">"), "gt": compareTest(">"), "greaterthan": compareTest(">"),
		">=": compareTest(">="), "ge": compareTest(">="),
		"<": compareTest("<"), "lt": compareTest("<"), "lessthan": compareTest("<"),
		"<=": compareTest("<="), "le": compareTest("<="),
	}
}
