package jinja

import (
	"slices"
	"strings"
)

// builtin is a filter, a test, a method or a global function: x is what it is applied to. Its parameters are data, bound
// once, in call.
type builtin struct {
	name   string
	params []string
	need   int  // how many of the parameters must be given
	byName bool // whether they may be given by name
	fn     func(r *render, x Value, a []Value) Value
	raw    func(r *render, x Value, a *args) Value // instead of fn, where the parameters are not fixed
	unsafe bool                                    // the sandbox refuses it: it changes a value
}

// table holds builtins by their names. A builtin without a function is one of Python's that is refused by name.
type table map[string]*builtin

// add puts a builtin under each of the names. params are its parameters' names; "?" follows an optional one, and a last
// "/" says that none may be given by name.
func (t table) add(names, params string, fn func(r *render, x Value, a []Value) Value) {
	b := &builtin{fn: fn, byName: true}
	for _, p := range strings.Fields(params) {
		name, optional := strings.CutSuffix(p, "?")
		switch {
		case p == "/":
			b.byName = false
			continue
		case !optional:
			b.need++
		}
		b.params = append(b.params, name)
	}
	t.put(names, *b)
}

// addRaw puts a builtin that reads its arguments itself.
func (t table) addRaw(names string, fn func(r *render, x Value, a *args) Value) {
	t.put(names, builtin{raw: fn})
}

func (t table) put(names string, b builtin) {
	for _, name := range strings.Fields(names) {
		one := b
		one.name = name
		t[name] = &one
	}
}

// function is a builtin as a value: a method with the value that it belongs to, or a global.
type function struct {
	*builtin
	self Value
}

// args are the arguments of a call: the positional ones, then the named ones in their order.
type args struct {
	pos     []Value
	kwNames []string
	kwVals  []Value
}

// absent marks an optional parameter that was not given.
var absent Value = &struct{ _ byte }{}

func (b *builtin) call(r *render, x Value, a *args) Value {
	if b.raw != nil {
		return b.raw(r, x, a)
	}
	return b.fn(r, x, b.bind(a))
}

// bind places arguments on parameters.
func (b *builtin) bind(a *args) []Value {
	if len(a.pos) == len(b.params) && len(a.kwNames) == 0 {
		return a.pos
	}
	if len(a.pos) > len(b.params) {
		panic(typeErr("%s() takes at most %d arguments (%d given)", b.name, len(b.params), len(a.pos)))
	}
	out := append(make([]Value, 0, len(b.params)), a.pos...)
	for len(out) < len(b.params) {
		out = append(out, absent)
	}
	for k, name := range a.kwNames {
		i := slices.Index(b.params, name)
		if i < 0 || !b.byName {
			panic(typeErr("%s() got an unexpected keyword argument %s", b.name, quoteRepr(clip(name))))
		}
		if out[i] != absent {
			panic(typeErr("%s() got multiple values for argument %s", b.name, quoteRepr(name)))
		}
		out[i] = a.kwVals[k]
	}
	for i := range b.need {
		if out[i] == absent {
			panic(typeErr("%s() missing a required argument: %s", b.name, quoteRepr(b.params[i])))
		}
	}
	return out
}

// isSet is an optional bool argument.
func isSet(v Value) bool { return v != absent && truth(v) }

// textArg is an optional str argument.
func textArg(v Value, def string) string {
	if v == absent {
		return def
	}
	s, ok := asString(v)
	if !ok {
		panic(typeErr("must be str, not %s", typeName(v)))
	}
	return s
}

// intArg is an optional int argument.
func intArg(v Value, def int64) int64 {
	if v == absent {
		return def
	}
	defined(v)
	n, ok := asInt(v)
	if !ok {
		refuseBig(v)
		panic(typeErr("'%s' object cannot be interpreted as an integer", typeName(v)))
	}
	return n
}

// arguments are the expressions of a call's arguments.
type arguments struct {
	pos   []expr
	names []string
	named []expr
	star  expr // *args
}

func (c *arguments) eval(r *render, s *scope) *args {
	a := &args{}
	if len(c.pos) > 0 {
		a.pos = r.evalAll(c.pos, s)
	}
	if len(c.named) > 0 {
		a.kwNames, a.kwVals = slices.Clone(c.names), r.evalAll(c.named, s)
	}
	if c.star != nil {
		more := r.items(r.eval(c.star, s))
		r.grow(int64(16 * len(more)))
		a.pos = append(a.pos, more...)
	}
	return a
}

// call is fn(args).
type call struct {
	fn   expr
	args arguments
	line int
}

func (c *call) eval(r *render, s *scope) Value { return c.with(r, s, nil) }

// with calls with one argument more, caller, if it is given.
func (c *call) with(r *render, s *scope, caller *macro) Value {
	fn := r.eval(c.fn, s)
	a := c.args.eval(r, s)
	r.line = c.line
	if caller != nil {
		a.kwNames, a.kwVals = append(a.kwNames, "caller"), append(a.kwVals, caller)
	}
	return r.call(fn, a)
}

func (r *render) call(fn Value, a *args) Value {
	switch f := fn.(type) {
	case *function:
		return f.call(r, f.self, a)
	case *macro:
		return r.callMacro(f, a)
	case *loop:
		panic(unsupported("a recursive for loop"))
	}
	defined(fn)
	panic(typeErr("'%s' object is not callable", typeName(fn)))
}

// macro is a macro, or the body of a call block, with the scope that it was defined in.
type macro struct {
	decl  *macroDecl
	scope *scope
}

func (r *render) callMacro(f *macro, a *args) Value {
	r.enter()
	d := f.decl
	s := &scope{parent: f.scope}
	given := min(len(a.pos), len(d.params))
	left := &args{pos: a.pos[given:], kwNames: slices.Clone(a.kwNames), kwVals: slices.Clone(a.kwVals)}
	vals := append(make([]Value, 0, len(d.params)), a.pos[:given]...)
	for _, name := range d.params[given:] {
		vals = append(vals, left.take(name))
	}
	if d.caller {
		v := left.take("caller")
		if v == absent || v == nil {
			v = &Undefined{hint: "No caller defined"}
		}
		r.set(s, "caller", v)
	}
	if len(left.kwNames) > 0 {
		panic(typeErr("macro %s takes no keyword argument %s", quoteRepr(d.name), quoteRepr(clip(left.kwNames[0]))))
	}
	if len(left.pos) > 0 {
		panic(typeErr("macro %s takes not more than %d argument(s)", quoteRepr(d.name), len(d.params)))
	}
	for i, name := range d.params { // defaults see the parameters before them
		if vals[i] != absent {
			r.set(s, name, vals[i])
		} else if k := i - (len(d.params) - len(d.defaults)); k >= 0 {
			r.set(s, name, r.eval(d.defaults[k], s))
		} else {
			r.set(s, name, &Undefined{hint: "parameter " + quoteRepr(name) + " was not provided"})
		}
	}
	text, _ := r.capture(d.body, s)
	r.leave()
	return text
}

// take removes a named argument.
func (a *args) take(name string) Value {
	i := slices.Index(a.kwNames, name)
	if i < 0 {
		return absent
	}
	v := a.kwVals[i]
	a.kwNames, a.kwVals = slices.Delete(a.kwNames, i, i+1), slices.Delete(a.kwVals, i, i+1)
	return v
}
