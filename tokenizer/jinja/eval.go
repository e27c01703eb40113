package jinja

import "strings"

// eval computes an expression.
func (m *machine) eval(e expr, s *scope) (Value, error) {
	if err := m.step(1); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case *constExpr:
		return e.v, nil
	case *nameExpr:
		return m.lookup(s, e.name), nil
	}
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	switch e := e.(type) {
	case *listExpr:
		items, err := m.evalAll(e.items, s)
		return &List{Items: items}, err
	case *tupleExpr:
		items, err := m.evalAll(e.items, s)
		return &Tuple{Items: items}, err
	case *dictExpr:
		return m.evalDict(e, s)
	case *attrExpr:
		x, err := m.eval(e.x, s)
		if err != nil {
			return nil, err
		}
		v, err := m.getAttr(x, e.name)
		return v, lineOf(err, e.line)
	case *itemExpr:
		return m.evalItem(e, s)
	case *callExpr:
		v, err := m.evalCall(e, s, nil)
		return v, lineOf(err, e.line)
	case *filterExpr:
		x, err := m.eval(e.x, s)
		if err != nil {
			return nil, err
		}
		return m.applyFilter(e, x, s)
	case *testExpr:
		return m.evalTest(e, s)
	case *chainExpr:
		v, err := m.evalChain(e, s)
		return v, lineOf(err, e.line)
	case *concatExpr:
		v, err := m.evalConcat(e, s)
		return v, lineOf(err, e.line)
	case *unaryExpr:
		v, err := m.evalUnary(e, s)
		return v, lineOf(err, e.line)
	case *notExpr:
		x, err := m.eval(e.x, s)
		return !truth(x), err
	case *logicExpr:
		var v Value
		for _, part := range e.parts {
			var err error
			if v, err = m.eval(part, s); err != nil || truth(v) == e.or {
				return v, err
			}
		}
		return v, nil
	case *compareExpr:
		v, err := m.evalCompare(e, s)
		return v, lineOf(err, e.line)
	case *condExpr:
		test, err := m.eval(e.test, s)
		switch {
		case err != nil:
			return nil, err
		case truth(test):
			return m.eval(e.then, s)
		case e.alt != nil:
			return m.eval(e.alt, s)
		}
		return &Undefined{hint: "the inline if-expression evaluated to false and no else section was defined."}, nil
	case *sliceExpr:
		return nil, typeErr("a slice in a tuple index is not supported")
	}
	return nil, unsupported("this kind of expression")
}

func lineOf(err error, line int) error {
	if err == nil {
		return nil
	}
	return atLine(err, line)
}

func (m *machine) evalAll(es []expr, s *scope) ([]Value, error) {
	if err := m.grow(int64(16*len(es) + 24)); err != nil {
		return nil, err
	}
	out := make([]Value, 0, len(es))
	for _, e := range es {
		v, err := m.eval(e, s)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (m *machine) evalDict(e *dictExpr, s *scope) (Value, error) {
	d := NewDict()
	if err := m.grow(64); err != nil {
		return nil, err
	}
	for i := range e.keys {
		k, err := m.eval(e.keys[i], s)
		if err != nil {
			return nil, err
		}
		v, err := m.eval(e.vals[i], s)
		if err != nil {
			return nil, err
		}
		if err := d.setValue(m, k, v); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (m *machine) evalItem(e *itemExpr, s *scope) (Value, error) {
	x, err := m.eval(e.x, s)
	if err != nil {
		return nil, err
	}
	if sl, ok := e.key.(*sliceExpr); ok {
		v, err := m.evalSlice(x, sl, s)
		return v, lineOf(err, e.line)
	}
	key, err := m.eval(e.key, s)
	if err != nil {
		return nil, err
	}
	v, err := m.getItem(x, key)
	return v, lineOf(err, e.line)
}

// evalChain computes a flat run of operators from the left. While the result
// is a growing str its parts are collected, so each is copied once.
func (m *machine) evalChain(e *chainExpr, s *scope) (Value, error) {
	acc, err := m.eval(e.first, s)
	if err != nil {
		return nil, err
	}
	var b *strings.Builder
	for i, op := range e.ops {
		x, err := m.eval(e.rest[i], s)
		if err != nil {
			return nil, err
		}
		t, isText := x.(string)
		if op == "+" && isText {
			if b != nil {
				if err := m.grow(int64(len(t))); err != nil {
					return nil, err
				}
				b.WriteString(t)
				continue
			}
			if a, ok := acc.(string); ok && i+1 < len(e.ops) {
				if err := m.grow(int64(len(a) + len(t))); err != nil {
					return nil, err
				}
				b = &strings.Builder{}
				b.WriteString(a)
				b.WriteString(t)
				continue
			}
		}
		if b != nil {
			acc, b = b.String(), nil
		}
		if acc, err = m.binary(op, acc, x); err != nil {
			return nil, err
		}
	}
	if b != nil {
		return b.String(), nil
	}
	return acc, nil
}

func (m *machine) evalConcat(e *concatExpr, s *scope) (Value, error) {
	// All operands are computed before any is turned into text.
	vals, err := m.evalAll(e.parts, s)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, v := range vals {
		t, err := m.str(v)
		if err != nil {
			return nil, err
		}
		if err := m.grow(int64(len(t))); err != nil {
			return nil, err
		}
		b.WriteString(t)
	}
	return b.String(), nil
}

func (m *machine) evalUnary(e *unaryExpr, s *scope) (Value, error) {
	x, err := m.eval(e.x, s)
	if err != nil {
		return nil, err
	}
	switch v := x.(type) {
	case *Undefined:
		return nil, v.fail()
	case float64:
		if e.op == "-" {
			return -v, nil
		}
		return v, nil
	}
	if !isInt(x) {
		return nil, typeErr("bad operand type for unary %s: '%s'", e.op, typeName(x))
	}
	return intArith(e.op, int64(0), x)
}

func (m *machine) evalCompare(e *compareExpr, s *scope) (Value, error) {
	left, err := m.eval(e.first, s)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		right, err := m.eval(e.rest[i], s)
		if err != nil {
			return nil, err
		}
		if ok, err := m.compareOp(op, left, right); err != nil || !ok {
			return false, err
		}
		left = right
	}
	return true, nil
}

func (m *machine) applyFilter(e *filterExpr, x Value, s *scope) (Value, error) {
	f := filterTable[e.name]
	if f == nil {
		return nil, atLine(failf("TemplateRuntimeError", "No filter named %s found.", quoteRepr(clip(e.name))), e.line)
	}
	a, err := m.evalArgs(&e.args, s)
	if err != nil {
		return nil, err
	}
	v, err := f(m, x, a)
	return v, lineOf(err, e.line)
}

func (m *machine) evalTest(e *testExpr, s *scope) (Value, error) {
	f := testTable[e.name]
	if f == nil {
		return nil, atLine(failf("TemplateRuntimeError", "No test named %s found.", quoteRepr(clip(e.name))), e.line)
	}
	x, err := m.eval(e.x, s)
	if err != nil {
		return nil, err
	}
	a, err := m.evalArgs(&e.args, s)
	if err != nil {
		return nil, err
	}
	ok, err := f(m, x, a)
	return ok, lineOf(err, e.line)
}
