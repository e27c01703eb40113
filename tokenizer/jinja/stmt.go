package jinja

import "strings"

// stmt is a parsed statement: a function that writes to the render's output.
type stmt func(r *render, s *scope) flow

// flow says where a statement leads: on, or out of the innermost loop's turn.
type flow uint8

const (
	goesOn flow = iota
	breaks
	continues
)

// run executes statements until one leads elsewhere.
func (r *render) run(body []stmt, s *scope) flow {
	r.enter()
	f := goesOn
	for i := 0; i < len(body) && f == goesOn; i++ {
		r.step(1)
		f = body[i](r, s)
	}
	r.leave()
	return f
}

// capture is the text that statements render.
func (r *render) capture(body []stmt, s *scope) string {
	outer := r.out
	var b strings.Builder
	r.out = &b
	refuseIf(r.run(body, s) != goesOn, "a break or continue out of a set or filter block")
	r.out = outer
	r.grow(int64(b.Len()))
	return b.String()
}

func outputStmt(x expr, line int) stmt {
	return func(r *render, s *scope) flow {
		r.line = line
		v := r.eval(x, s)
		r.line = line
		r.emit(r.str(v))
		return goesOn
	}
}

// target is what set and for assign to.
type target struct {
	name  string
	attr  string   // namespace attribute: name.attr
	tuple []target // unpacking
}

// assign binds a target in the scope, or sets a namespace's attribute.
func (r *render) assign(t *target, v Value, s *scope) {
	switch {
	case t.tuple != nil:
		require(iterable(v), "TypeError", "cannot unpack non-iterable %s object", typeName(v))
		items := r.items(v)
		want, got := len(t.tuple), len(items)
		require(got >= want, "ValueError", "not enough values to unpack (expected %d, got %d)", want, got)
		require(got <= want, "ValueError", "too many values to unpack (expected %d)", want)
		for i := range t.tuple {
			r.assign(&t.tuple[i], items[i], s)
		}
	case t.attr == "":
		r.set(s, t.name, v)
	default:
		ns, ok := r.lookup(s, t.name).(*namespace)
		require(ok, "TemplateRuntimeError", "cannot assign attribute on non-namespace object")
		r.put(ns.attrs, t.attr, v)
	}
}

// loop is the special variable of a for loop. It reads ahead only when asked, as Jinja's does: the loop's "if" sees what
// the turns before have set.
type loop struct {
	r      *render
	rest   []Value // not yet looked at
	keep   func(v Value) bool
	items  []Value // looked at and kept
	index0 int
}

// has reads on until it knows whether there is an element n turns after this one.
func (l *loop) has(n int) bool {
	for len(l.items) <= l.index0+n && len(l.rest) > 0 {
		v := l.rest[0]
		l.rest = l.rest[1:]
		l.r.step(1)
		if l.keep == nil || l.keep(v) {
			l.r.grow(16)
			l.items = append(l.items, v)
		}
	}
	return len(l.items) > l.index0+n
}

// attr is loop.name.
func (l *loop) attr(name string) (Value, bool) {
	switch name {
	case "index0":
		return int64(l.index0), true
	case "index":
		return int64(l.index0 + 1), true
	case "first":
		return l.index0 == 0, true
	case "last":
		return !l.has(1), true
	case "length":
		l.has(len(l.items) + len(l.rest))
		return int64(len(l.items)), true
	case "previtem":
		if l.index0 == 0 {
			return because("there is no previous item"), true
		}
		return l.items[l.index0-1], true
	case "nextitem":
		if !l.has(1) {
			return because("there is no next item"), true
		}
		return l.items[l.index0+1], true
	case "changed", "cycle", "depth", "depth0", "revindex", "revindex0":
		panic(unsupported("loop.%s", name))
	}
	return nil, false
}
