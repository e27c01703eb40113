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

func dataStmt(text string) stmt {
	return func(r *render, _ *scope) flow {
		r.emit(text)
		return goesOn
	}
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

// blockText is where the filters of a block find its text.
const blockText = " block"

// filtered captures a body and runs filters over it, if there are any; use takes the text. A break or continue in the
// body discards it.
func filtered(body []stmt, filters expr, line int, use func(r *render, s *scope, text Value)) stmt {
	return func(r *render, s *scope) flow {
		inner := &scope{parent: s}
		captured, f := r.capture(body, inner)
		if f != goesOn {
			return f
		}
		var text Value = captured
		if filters != nil {
			text = r.eval(filters, &scope{parent: s, names: []string{blockText}, vals: []Value{captured}})
		}
		r.line = line
		use(r, s, text)
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
		if !iterable(v) {
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

type forStmt struct {
	target    target
	iter      expr
	test      expr // nil: none
	body, alt []stmt
	line      int
}

// loop is the special variable of a for loop. It reads ahead only when asked, as Jinja's does: the loop's "if" sees what
// the turns before have set.
type loop struct {
	r       *render
	rest    []Value // not yet looked at
	keep    func(v Value) bool
	index0  int
	before  Value
	current Value
	ahead   []Value // passed the "if", not yet given
}

func (st *forStmt) exec(r *render, s *scope) flow {
	iter := r.eval(st.iter, s)
	r.line = st.line
	l := &loop{r: r, rest: r.items(iter), index0: -1}
	if st.test != nil {
		l.keep = func(v Value) bool {
			turn := &scope{parent: s}
			r.assign(&st.target, v, turn)
			return truth(r.eval(st.test, turn))
		}
	}
	for l.advance() {
		turn := &scope{parent: s, names: make([]string, 0, 4), vals: make([]Value, 0, 4)}
		r.line = st.line
		r.set(turn, "loop", l)
		r.assign(&st.target, l.current, turn)
		if r.run(st.body, turn) == breaks {
			break
		}
	}
	if l.index0 < 0 && st.alt != nil {
		return r.run(st.alt, &scope{parent: s})
	}
	return goesOn
}

// peek reads ahead until n elements are waiting, or no more are left.
func (l *loop) peek(n int) bool {
	for len(l.ahead) < n && len(l.rest) > 0 {
		v := l.rest[0]
		l.rest = l.rest[1:]
		l.r.step(1)
		if l.keep == nil || l.keep(v) {
			l.r.grow(16)
			l.ahead = append(l.ahead, v)
		}
	}
	return len(l.ahead) >= n
}

func (l *loop) advance() bool {
	if !l.peek(1) {
		return false
	}
	l.before, l.current = l.current, l.ahead[0]
	l.ahead = l.ahead[1:]
	l.index0++
	return true
}

func (l *loop) length() int {
	if l.keep == nil {
		return l.index0 + 1 + len(l.ahead) + len(l.rest)
	}
	l.peek(len(l.ahead) + len(l.rest))
	return l.index0 + 1 + len(l.ahead)
}

// attr is loop.name.
func (l *loop) attr(name string) (Value, bool) {
	switch name {
	case "index0":
		return int64(l.index0), true
	case "index":
		return int64(l.index0 + 1), true
	case "changed", "cycle", "depth", "depth0":
		panic(unsupported("loop.%s", name))
	case "first":
		return l.index0 == 0, true
	case "last":
		return !l.peek(1), true
	case "length":
		return int64(l.length()), true
	case "revindex":
		return int64(l.length() - l.index0), true
	case "revindex0":
		return int64(l.length() - l.index0 - 1), true
	case "previtem":
		if l.index0 == 0 {
			return &Undefined{hint: "there is no previous item"}, true
		}
		return l.before, true
	case "nextitem":
		if !l.peek(1) {
			return &Undefined{hint: "there is no next item"}, true
		}
		return l.ahead[0], true
	}
	return nil, false
}

// macroDecl is what a macro or a call block says of itself.
type macroDecl struct {
	name     string // "" for a call block
	params   []string
	defaults []expr // of the last params
	body     []stmt
	caller   bool // the body uses it
}
