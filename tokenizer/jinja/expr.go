package jinja

import "strings"

// expr is an expression. A node knows how to compute itself; nodes that can fail carry their line.
type expr interface {
	eval(r *render, s *scope) Value
}

// eval computes an expression, charged to the render.
func (r *render) eval(e expr, s *scope) Value {
	r.step(1)
	r.enter()
	v := e.eval(r, s)
	r.leave()
	return v
}

func (r *render) evalAll(es []expr, s *scope) []Value {
	r.grow(int64(16*len(es) + 24))
	out := make([]Value, len(es))
	for i, e := range es {
		out[i] = r.eval(e, s)
	}
	return out
}

type constExpr struct{ v Value }

func (e *constExpr) eval(*render, *scope) Value { return e.v }

type nameExpr struct {
	name string
	line int
}

func (e *nameExpr) eval(r *render, s *scope) Value {
	r.line = e.line
	return r.lookup(s, e.name)
}

// listExpr is a list or a tuple.
type listExpr struct {
	items []expr
	kind  kind
}

func (e *listExpr) eval(r *render, s *scope) Value {
	return &List{Items: r.evalAll(e.items, s), kind: e.kind}
}

type dictExpr struct{ keys, vals []expr }

func (e *dictExpr) eval(r *render, s *scope) Value {
	r.grow(64)
	d := NewDict()
	for i := range e.keys {
		k := r.eval(e.keys[i], s)
		r.put(d, k, r.eval(e.vals[i], s))
	}
	return d
}

// attrExpr is x.name.
type attrExpr struct {
	x    expr
	name string
	line int
}

func (e *attrExpr) eval(r *render, s *scope) Value {
	x := r.eval(e.x, s)
	r.line = e.line
	return r.getAttr(x, e.name)
}

// itemExpr is x[key].
type itemExpr struct {
	x, key expr
	line   int
}

func (e *itemExpr) eval(r *render, s *scope) Value {
	x := r.eval(e.x, s)
	key := r.eval(e.key, s)
	r.line = e.line
	return r.getItem(x, key)
}

// sliceExpr is x[start:stop:step]; parts may be nil.
type sliceExpr struct {
	x     expr
	parts [3]expr
	line  int
}

func (e *sliceExpr) eval(r *render, s *scope) Value {
	x := r.eval(e.x, s)
	var bounds [3]Value
	for i, part := range e.parts {
		if part != nil {
			bounds[i] = r.eval(part, s)
		}
	}
	r.line = e.line
	return r.slice(x, bounds)
}

type filterExpr struct {
	x       expr // nil in a filter or set block: the block's text
	filter  *builtin
	unknown *Error // why there is no filter
	args    callArgs
	line    int
}

func (e *filterExpr) eval(r *render, s *scope) Value { return e.apply(r, r.eval(e.x, s), s) }

func (e *filterExpr) apply(r *render, x Value, s *scope) Value {
	if e.filter == nil {
		panic(e.unknown)
	}
	a := r.evalArgs(&e.args, s)
	r.line = e.line
	return e.filter.call(r, x, a)
}

type testExpr struct {
	x       expr
	test    *builtin
	unknown *Error // why there is no test
	args    callArgs
	line    int
}

func (e *testExpr) eval(r *render, s *scope) Value {
	if e.test == nil {
		panic(e.unknown)
	}
	x := r.eval(e.x, s)
	a := r.evalArgs(&e.args, s)
	r.line = e.line
	return e.test.call(r, x, a)
}

// run is first ops[0] rest[0] ops[1] rest[1] …, all of one level.
type run struct {
	first expr
	ops   []string
	rest  []expr
	line  int
}

type logicExpr struct{ run }

func (e *logicExpr) eval(r *render, s *scope) Value {
	v := r.eval(e.first, s)
	for _, x := range e.rest {
		if truth(v) == (e.ops[0] == "or") {
			return v
		}
		v = r.eval(x, s)
	}
	return v
}

type compareExpr struct{ run }

func (e *compareExpr) eval(r *render, s *scope) Value {
	left := r.eval(e.first, s)
	for i, op := range e.ops {
		right := r.eval(e.rest[i], s)
		r.line = e.line
		if !r.compare(op, left, right) {
			return false
		}
		left = right
	}
	return true
}

// arithExpr computes from the left. While the result is a growing str its parts are collected, so each is copied once.
type arithExpr struct{ run }

func (e *arithExpr) eval(r *render, s *scope) Value {
	acc := r.eval(e.first, s)
	var b *strings.Builder
	for i, op := range e.ops {
		x := r.eval(e.rest[i], s)
		r.line = e.line
		if t, ok := x.(string); ok && op == "+" {
			a, isText := acc.(string)
			if b == nil && isText && i+1 < len(e.ops) {
				b = &strings.Builder{}
				r.grow(int64(len(a)))
				b.WriteString(a)
			}
			if b != nil {
				r.grow(int64(len(t)))
				b.WriteString(t)
				continue
			}
		}
		if b != nil {
			acc, b = b.String(), nil
		}
		acc = r.arith(op, acc, x)
	}
	if b != nil {
		return b.String()
	}
	return acc
}

type concatExpr struct{ run }

func (e *concatExpr) eval(r *render, s *scope) Value {
	// All operands are computed before any is turned into text.
	first := r.eval(e.first, s)
	rest := r.evalAll(e.rest, s)
	r.line = e.line
	var b strings.Builder
	b.WriteString(r.str(first))
	for _, v := range rest {
		b.WriteString(r.str(v))
	}
	r.grow(int64(b.Len()))
	return b.String()
}

type signExpr struct {
	op   string
	x    expr
	line int
}

func (e *signExpr) eval(r *render, s *scope) Value {
	x := r.eval(e.x, s)
	r.line = e.line
	defined(x)
	if f, ok := x.(float64); ok && e.op == "-" {
		return -f
	}
	if !isNumber(x) {
		panic(typeErr("bad operand type for unary %s: '%s'", e.op, typeName(x)))
	}
	return r.arith(e.op, int64(0), x)
}

type notExpr struct{ x expr }

func (e *notExpr) eval(r *render, s *scope) Value { return !truth(r.eval(e.x, s)) }

type condExpr struct{ test, then, alt expr } // alt nil: undefined

func (e *condExpr) eval(r *render, s *scope) Value {
	switch {
	case truth(r.eval(e.test, s)):
		return r.eval(e.then, s)
	case e.alt != nil:
		return r.eval(e.alt, s)
	}
	return &Undefined{hint: "the inline if-expression evaluated to false and no else section was defined."}
}
