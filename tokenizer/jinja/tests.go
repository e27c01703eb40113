package jinja

// tests holds the tests that may follow "is".
var tests = table{}

func init() { // here, because select and map lead from filters to tests
	for name, is := range map[string]func(v Value) bool{
		"defined":   func(v Value) bool { return !isUndefined(v) },
		"undefined": isUndefined,
		"none":      func(v Value) bool { return v == nil },
		"boolean":   func(v Value) bool { return typeName(v) == "bool" },
		"true":      func(v Value) bool { return v == true },
		"false":     func(v Value) bool { return v == false },
		"integer":   func(v Value) bool { return typeName(v) == "int" },
		"float":     func(v Value) bool { return typeName(v) == "float" },
		"number":    isNumber,
		"string":    func(v Value) bool { _, ok := asString(v); return ok },
		"mapping":   func(v Value) bool { return typeName(v) == "dict" },
		"sequence":  isIndexed,
		"iterable":  func(v Value) bool { return iterable(v) || typeName(v) == "LoopContext" },
	} {
		tests.add(name, "", func(_ *render, v Value, _ []Value) Value { return is(v) })
	}
	for names, op := range map[string]string{"eq equalto ==": "==", "ne !=": "!=", "in": "in"} {
		tests.add(names, "other", func(r *render, v Value, a []Value) Value { return r.compare(op, v, a[0]) })
	}
	for name, rest := range map[string]int64{"even": 0, "odd": 1} {
		tests.add(name, "", func(r *render, v Value, _ []Value) Value { return r.equal(r.arith("%", v, int64(2)), rest) })
	}
	tests.refuse("the test '%s'", "callable divisibleby escaped filter ge greaterthan gt le lessthan lower lt sameas test upper < <= > >=")
}

func isUndefined(v Value) bool {
	_, is := v.(*Undefined)
	return is
}

// isIndexed says whether a value has a length and items.
func isIndexed(v Value) bool {
	if l, ok := v.(*List); ok {
		return l.kind == list || l.kind == tuple || l.kind == ranged
	}
	return iterable(v)
}
