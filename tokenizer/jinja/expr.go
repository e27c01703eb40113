package jinja

import "strings"

// expr is a parsed expression: a function that computes it. The parser makes it of the functions of its parts.
type expr func(r *render, s *scope) Value

// eval computes an expression, charged to the render.
func (r *render) eval(e expr, s *scope) Value {
	r.step(1)
	r.enter()
	v := e(r, s)
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

func constant(v Value) expr { return func(*render, *scope) Value { return v } }

func listOf(items []expr, k kind) expr {
	return func(r *render, s *scope) Value { return &List{Items: r.evalAll(items, s), kind: k} }
}

func attribute(x expr, name string, line int) expr {
	return func(r *render, s *scope) Value {
		v := r.eval(x, s)
		r.line = line
		return r.getAttr(v, name)
	}
}

func item(x, key expr, line int) expr {
	return func(r *render, s *scope) Value {
		v := r.eval(x, s)
		k := r.eval(key, s)
		r.line = line
		return r.getItem(v, k)
	}
}

// sliceOf is x[start:stop:step]; each of the bounds may be nil.
func sliceOf(x expr, parts [3]expr, line int) expr {
	return func(r *render, s *scope) Value {
		v := r.eval(x, s)
		var bounds [3]Value
		for i, part := range parts {
			if part != nil {
				bounds[i] = r.eval(part, s)
			}
		}
		r.line = line
		return r.slice(v, bounds)
	}
}

// apply is a filter or a test on x.
func apply(b *builtin, x expr, a arguments, line int) expr {
	return func(r *render, s *scope) Value {
		v := r.eval(x, s)
		got := a.eval(r, s)
		r.line = line
		return b.call(r, v, got)
	}
}

func not(x expr) expr { return func(r *render, s *scope) Value { return !truth(r.eval(x, s)) } }

// run is first ops[0] rest[0] ops[1] rest[1] …, all of one level.
type run struct {
	first expr
	ops   []string
	rest  []expr
	line  int
}

// logic is a run of "and" or of "or".
func (n *run) logic(r *render, s *scope) Value {
	v := r.eval(n.first, s)
	for _, x := range n.rest {
		if truth(v) == (n.ops[0] == "or") {
			return v
		}
		v = r.eval(x, s)
	}
	return v
}

func (n *run) compare(r *render, s *scope) Value {
	left := r.eval(n.first, s)
	for i, op := range n.ops {
		right := r.eval(n.rest[i], s)
		r.line = n.line
		if !r.compare(op, left, right) {
			return false
		}
		left = right
	}
	return true
}

// arith computes from the left. While the result is a growing str its parts are collected, so each is copied once.
func (n *run) arith(r *render, s *scope) Value {
	acc := r.eval(n.first, s)
	var b *strings.Builder
	for i, op := range n.ops {
		x := r.eval(n.rest[i], s)
		r.line = n.line
		if t, ok := x.(string); ok && op == "+" {
			a, isText := acc.(string)
			if b == nil && isText && i+1 < len(n.ops) {
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

// concat is a run of "~", which computes all operands before it turns any into text.
func (n *run) concat(r *render, s *scope) Value {
	first := r.eval(n.first, s)
	rest := r.evalAll(n.rest, s)
	r.line = n.line
	var b strings.Builder
	b.WriteString(r.str(first))
	for _, v := range rest {
		b.WriteString(r.str(v))
		r.grow(int64(b.Len()) / int64(len(rest)))
	}
	return b.String()
}

func sign(op string, x expr, line int) expr {
	return func(r *render, s *scope) Value {
		v := r.eval(x, s)
		r.line = line
		defined(v)
		if f, ok := v.(float64); ok && op == "-" {
			return -f
		}
		if !isNumber(v) {
			panic(typeErr("bad operand type for unary %s: '%s'", op, typeName(v)))
		}
		return r.arith(op, int64(0), v)
	}
}

// condition is "then if test else alt"; alt may be nil.
func condition(test, then, alt expr) expr {
	return func(r *render, s *scope) Value {
		switch {
		case truth(r.eval(test, s)):
			return r.eval(then, s)
		case alt != nil:
			return r.eval(alt, s)
		}
		return because("the inline if-expression evaluated to false and no else section was defined.")
	}
}
