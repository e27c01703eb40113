package jinja

// tests holds the tests that may follow "is"; refusedTests are Jinja's own that chat templates do not use.
var tests = table{}

var refusedTests = words("escaped filter lower test upper")

func init() { // here, because select and map lead from filters to tests
	for names, is := range map[string]func(v Value) bool{
		"defined":   func(v Value) bool { _, u := v.(*Undefined); return !u },
		"undefined": func(v Value) bool { _, u := v.(*Undefined); return u },
		"none":      func(v Value) bool { return v == nil },
		"boolean":   func(v Value) bool { _, ok := v.(bool); return ok },
		"true":      func(v Value) bool { return v == true },
		"false":     func(v Value) bool { return v == false },
		"integer":   func(v Value) bool { return typeName(v) == "int" },
		"float":     func(v Value) bool { return typeName(v) == "float" },
		"number":    isNumber,
		"string":    func(v Value) bool { _, ok := asString(v); return ok },
		"mapping":   func(v Value) bool { return typeName(v) == "dict" },
		"sequence":  isIndexed,
		"iterable":  func(v Value) bool { _, isLoop := v.(*loop); return isLoop || iterable(v) },
		"callable":  isCallable,
	} {
		tests.add(names, "", func(_ *render, v Value, _ []Value) Value { return is(v) })
	}
	for names, op := range map[string]string{
		"eq equalto ==": "==", "ne !=": "!=", "gt greaterthan >": ">", "ge >=": ">=", "lt lessthan <": "<", "le <=": "<=",
		"in": "in",
	} {
		tests.add(names, "other /", func(r *render, v Value, a []Value) Value { return r.compare(op, v, a[0]) })
	}
	tests.add("odd", "", func(r *render, v Value, _ []Value) Value { return r.remainder(v, int64(2), 1) })
	tests.add("even", "", func(r *render, v Value, _ []Value) Value { return r.remainder(v, int64(2), 0) })
	tests.add("divisibleby", "num", func(r *render, v Value, a []Value) Value { return r.remainder(v, a[0], 0) })
	tests.add("sameas", "other", func(r *render, v Value, a []Value) Value {
		if _, isNum := v.(int64); isNum || typeName(v) == "str" {
			return typeName(v) == typeName(a[0]) && r.equal(v, a[0])
		}
		return v == a[0]
	})
}

// isIndexed says whether a value has a length and items.
func isIndexed(v Value) bool {
	if l, ok := v.(*List); ok {
		return l.kind == list || l.kind == tuple || l.kind == ranged
	}
	return iterable(v)
}

func isCallable(v Value) bool {
	switch v.(type) {
	case *function, *macro, *loop, *Undefined:
		return true
	}
	return false
}

func (r *render) remainder(v, by Value, want int64) bool { return r.equal(r.arith("%", v, by), want) }
