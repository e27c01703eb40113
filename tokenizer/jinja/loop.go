package jinja

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
	changed *List
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
	case "depth0":
		return int64(0), true
	case "depth":
		return int64(1), true // only recursive loops have more
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
	if b := loopMethods[name]; b != nil {
		return &function{builtin: b, self: l}, true
	}
	return nil, false
}

var loopMethods = table{}

func init() {
	loopMethods.addRaw("cycle", func(_ *render, self Value, a *args) Value {
		if len(a.pos) == 0 {
			panic(typeErr("no items for cycling given"))
		}
		return a.pos[self.(*loop).index0%len(a.pos)]
	})
	loopMethods.addRaw("changed", func(r *render, self Value, a *args) Value {
		l, now := self.(*loop), &List{Items: a.pos}
		same := l.changed != nil && r.equal(l.changed, now)
		l.changed = now
		return !same
	})
}
