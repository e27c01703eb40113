package jinja

import "slices"

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

// evalAll computes expressions in their order; what is left out (nil) is None.
func (r *render) evalAll(es []expr, s *scope) []Value {
	r.grow(int64(16 * len(es)))
	out := make([]Value, len(es))
	for i, e := range es {
		if e != nil {
			out[i] = r.eval(e, s)
		}
	}
	return out
}

func constant(v Value) expr { return func(*render, *scope) Value { return v } }

// strict computes its parts, in their order, and then f of their values, at its line. f may keep the slice.
func strict(line int, f func(r *render, v []Value) Value, parts ...expr) expr {
	return func(r *render, s *scope) Value {
		v := r.evalAll(parts, s)
		r.line = line
		return f(r, v)
	}
}

func sequenceOf(k kind, line int, items []expr) expr {
	return strict(line, func(_ *render, v []Value) Value { return &List{Items: v, kind: k} }, items...)
}

// apply is a filter or a test on x.
func apply(b *builtin, x expr, a arguments, line int) expr {
	return strict(line, func(r *render, v []Value) Value { return b.call(r, v[0], a.of(v[1:])) }, a.behind(x)...)
}

func not(x expr) expr { return func(r *render, s *scope) Value { return !truth(r.eval(x, s)) } }

// condition is "then if test else alt".
func condition(test, then, alt expr) expr {
	return func(r *render, s *scope) Value {
		if truth(r.eval(test, s)) {
			return r.eval(then, s)
		}
		return r.eval(alt, s)
	}
}

// levels are the binary operators, loosest first, all of them left-associative; "not", a prefix, stands between "and" and
// the comparisons.
var levels = [...][]string{
	{"or"},
	{"and"},
	{"==", "!=", "<", "<=", ">", ">=", "in", "not in"},
	{"+", "-"},
	{"~"},
	{"*", "/", "//", "%"},
	{"**"},
}

const compareLevel = 2

// chain is operands[0] ops[0] operands[1] ops[1] …, all of one level of precedence.
func chain(ops []string, operands []expr, line int) expr {
	switch ops[0] {
	case "and", "or":
		return func(r *render, s *scope) (v Value) {
			for _, x := range operands { // the first one whose truth decides, or the last
				if v = r.eval(x, s); truth(v) == (ops[0] == "or") {
					break
				}
			}
			return v
		}
	case "~":
		return strict(line, func(r *render, v []Value) Value { return r.joined("", v, r.str) }, operands...)
	}
	compares := slices.Contains(levels[compareLevel], ops[0])
	return func(r *render, s *scope) Value {
		left := r.eval(operands[0], s)
		for i, op := range ops {
			right := r.eval(operands[i+1], s)
			r.line = line
			switch {
			case !compares:
				left = r.arith(op, left, right)
			case r.compare(op, left, right):
				left = right
			default:
				return false
			}
		}
		if compares {
			return true
		}
		return left
	}
}
