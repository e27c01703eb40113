package jinja

import "strings"

// flow says where a statement leads: on, or out of the innermost loop's turn.
type flow uint8

const (
	goesOn flow = iota
	breaks
	continues
)

// stmt is a statement, which writes to the render's output.
type stmt interface {
	exec(r *render, s *scope) flow
}

// target is what set and for assign to.
type target struct {
	name  string
	attr  string   // namespace attribute: name.attr
	tuple []target // unpacking
}

// run executes statements until one leads elsewhere.
func (r *render) run(body []stmt, s *scope) flow {
	r.enter()
	for _, st := range body {
		r.step(1)
		if f := st.exec(r, s); f != goesOn {
			r.leave()
			return f
		}
	}
	r.leave()
	return goesOn
}

// capture renders statements into a str.
func (r *render) capture(body []stmt, s *scope) (string, flow) {
	outer := r.out
	var b strings.Builder
	r.out = &b
	f := r.run(body, s)
	r.out = outer
	r.grow(int64(b.Len()))
	return b.String(), f
}

// assign binds a target in the scope, or sets a namespace's attribute.
func (r *render) assign(t *target, v Value, s *scope) {
	switch {
	case t.tuple != nil:
		if _, undef := v.(*Undefined); !undef && !iterable(v) {
			panic(typeErr("cannot unpack non-iterable %s object", typeName(v)))
		}
		items := r.items(v)
		if len(items) < len(t.tuple) {
			panic(valueErr("not enough values to unpack (expected %d, got %d)", len(t.tuple), len(items)))
		}
		if len(items) > len(t.tuple) {
			panic(valueErr("too many values to unpack (expected %d)", len(t.tuple)))
		}
		for i := range t.tuple {
			r.assign(&t.tuple[i], items[i], s)
		}
	case t.attr == "":
		r.set(s, t.name, v)
	default:
		ns, ok := r.lookup(s, t.name).(*namespace)
		if !ok {
			panic(errorf("TemplateRuntimeError", "cannot assign attribute on non-namespace object"))
		}
		r.put(ns.attrs, t.attr, v)
	}
}

type dataStmt struct{ text string }

func (st *dataStmt) exec(r *render, _ *scope) flow {
	r.emit(st.text)
	return goesOn
}

type outputStmt struct {
	x    expr
	line int
}

func (st *outputStmt) exec(r *render, s *scope) flow {
	v := r.eval(st.x, s)
	r.line = st.line
	r.emit(r.str(v))
	return goesOn
}

type ifStmt struct {
	tests  []expr
	bodies [][]stmt
	alt    []stmt
}

func (st *ifStmt) exec(r *render, s *scope) flow {
	for i, test := range st.tests {
		if truth(r.eval(test, s)) {
			return r.run(st.bodies[i], s)
		}
	}
	return r.run(st.alt, s)
}

// controlStmt is break or continue.
type controlStmt struct{ next flow }

func (st *controlStmt) exec(*render, *scope) flow { return st.next }

type setStmt struct {
	target target
	value  expr
	line   int
}

func (st *setStmt) exec(r *render, s *scope) flow {
	v := r.eval(st.value, s)
	r.line = st.line
	r.assign(&st.target, v, s)
	return goesOn
}

type setBlock struct {
	target target
	filter expr // nil: none
	body   []stmt
	line   int
}

func (st *setBlock) exec(r *render, s *scope) flow {
	text, f := r.captureFiltered(st.filter, st.body, s)
	if f == goesOn {
		r.line = st.line
		r.assign(&st.target, text, s)
	}
	return f
}

type filterBlock struct {
	filter expr
	body   []stmt
	line   int
}

func (st *filterBlock) exec(r *render, s *scope) flow {
	text, f := r.captureFiltered(st.filter, st.body, s)
	if f == goesOn {
		r.line = st.line
		r.emit(r.str(text))
	}
	return f
}

// captureFiltered is capture, and the text run through filters. A break or continue discards the text.
func (r *render) captureFiltered(filter expr, body []stmt, s *scope) (Value, flow) {
	inner := &scope{parent: s}
	text, f := r.capture(body, inner)
	if f != goesOn || filter == nil {
		return text, f
	}
	return r.filterText(filter.(*filterExpr), text, s), f
}

// filterText runs a chain of filters whose innermost takes the block's text.
func (r *render) filterText(f *filterExpr, text Value, s *scope) Value {
	r.enter()
	if f.x != nil {
		text = r.filterText(f.x.(*filterExpr), text, s)
	}
	r.leave()
	return f.apply(r, text, s)
}

type macroDecl struct {
	name     string // "" for a call block
	params   []string
	defaults []expr // of the last params
	body     []stmt
	line     int
	// which of the special names the body uses
	caller, kwargs, varargs bool
}

func (st *macroDecl) exec(r *render, s *scope) flow {
	r.set(s, st.name, &macro{decl: st, scope: s})
	return goesOn
}

type callBlock struct {
	call *callExpr
	decl *macroDecl
	line int
}

func (st *callBlock) exec(r *render, s *scope) flow {
	fn := r.eval(st.call.fn, s)
	a := r.evalArgs(&st.call.args, s)
	r.line = st.line
	a.kwNames = append(a.kwNames, "caller")
	a.kwVals = append(a.kwVals, &macro{decl: st.decl, scope: s})
	v := r.call(fn, a)
	r.line = st.line
	r.emit(r.str(v))
	return goesOn
}

// scopeBlock is a block of Parse's: its body, in a scope of its own.
type scopeBlock struct{ body []stmt }

func (st *scopeBlock) exec(r *render, s *scope) flow { return r.run(st.body, &scope{parent: s}) }
