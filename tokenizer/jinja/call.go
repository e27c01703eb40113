package jinja

import (
	"slices"
	"strings"
)

// signature is what a builtin or a macro takes. Its parameters are data, on which bind places the arguments of a call.
type signature struct {
	label  string // in errors
	params []param
	caller bool // a call block may give its body
}

type param struct {
	name     string
	optional bool
	refused  bool // Python has it, and who gives it is refused by name
}

// newSignature reads parameters by their names: "?" follows an optional one, "!" one that is refused.
func newSignature(text string) (sig signature) {
	for _, word := range strings.Fields(text) {
		name := strings.TrimRight(word, "?!")
		sig.params = append(sig.params, param{name: name, optional: name != word, refused: strings.HasSuffix(word, "!")})
	}
	return sig
}

// args are the arguments of a call: the positional ones, the named ones in their order, and the body of a call block.
type args struct {
	pos    []Value
	names  []string
	named  []Value
	caller *macro
}

// absent marks an optional parameter that was not given.
var absent Value = &struct{ _ byte }{}

// bind gives each parameter its argument, or absent.
func (sig *signature) bind(a *args) []Value {
	switch { // not by require, whose arguments are allocated for every call
	case len(a.pos) > len(sig.params):
		panic(errorf("TypeError", "%s takes not more than %d argument(s)", sig.label, len(sig.params)))
	case a.caller != nil && !sig.caller:
		panic(errorf("TypeError", "%s takes no keyword argument 'caller'", sig.label))
	}
	out := slices.Repeat([]Value{absent}, len(sig.params))
	copy(out, a.pos)
	for k, name := range a.names {
		i := slices.IndexFunc(sig.params, func(p param) bool { return p.name == name })
		require(i >= 0, "TypeError", "%s takes no keyword argument %s", sig.label, quoteRepr(clip(name)))
		require(out[i] == absent, "TypeError", "%s got multiple values for argument %s", sig.label, quoteRepr(name))
		out[i] = a.named[k]
	}
	for i, p := range sig.params {
		switch given := out[i] != absent; {
		case given && p.refused:
			panic(unsupported("the argument '%s' of %s", p.name, sig.label))
		case !given && !p.optional:
			panic(errorf("TypeError", "%s missing a required argument: '%s'", sig.label, p.name))
		}
	}
	return out
}

// given is an optional argument or its default.
func given(v, def Value) Value {
	if v == absent {
		return def
	}
	return v
}

// isSet is an optional bool argument.
func isSet(v Value) bool { return v != absent && truth(v) }

// text is an argument that must be a str.
func text(v Value) string {
	s, ok := asString(v)
	require(ok, "TypeError", "must be str, not %s", typeName(v))
	return s
}

// intArg is an argument that must be an int.
func intArg(v Value) int64 {
	defined(v)
	refuseBig(v)
	n, ok := asInt(v)
	require(ok, "TypeError", "'%s' object cannot be interpreted as an integer", typeName(v))
	return n
}

// arguments are the expressions of a call's arguments: the positional ones, then those with names.
type arguments struct {
	exprs []expr
	names []string
}

// behind is x and then the arguments.
func (a arguments) behind(x expr) []expr { return append([]expr{x}, a.exprs...) }

// of gives the arguments their values.
func (a arguments) of(v []Value) *args {
	n := len(v) - len(a.names)
	return &args{pos: v[:n:n], names: a.names, named: v[n:]}
}

// call is fn(args).
type call struct {
	parts []expr // fn, and the arguments behind it
	args  arguments
	line  int
}

// run calls, with the body of a call block if there is one.
func (c *call) run(r *render, s *scope, caller *macro) Value {
	v := r.evalAll(c.parts, s)
	r.line = c.line
	a := c.args.of(v[1:])
	a.caller = caller
	switch f := v[0].(type) {
	case *function:
		return f.call(r, f.self, a)
	case *macro:
		return f.call(r, a)
	}
	defined(v[0])
	panic(errorf("TypeError", "'%s' object is not callable", typeName(v[0])))
}

// macroDecl is what a macro or a call block says of itself. Its signature has a caller if its body uses one.
type macroDecl struct {
	signature
	defaults []expr // of the params; nil for one that has none
	body     []stmt
}

// macro is a macro, or the body of a call block, with the scope that it was defined in.
type macro struct {
	*macroDecl
	scope *scope
}

func (m *macro) call(r *render, a *args) Value {
	r.enter()
	vals := m.bind(a)
	s := &scope{parent: m.scope}
	switch {
	case a.caller != nil:
		r.set(s, "caller", a.caller)
	case m.caller:
		r.set(s, "caller", because("No caller defined"))
	}
	for i, p := range m.params { // defaults see the parameters before them
		v := vals[i]
		switch {
		case v != absent:
		case m.defaults[i] != nil:
			v = r.eval(m.defaults[i], s)
		default:
			v = because("parameter '%s' was not provided", p.name)
		}
		r.set(s, p.name, v)
	}
	text := r.capture(m.body, s)
	r.leave()
	return text
}
