package jinja

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// builtin is a filter, a test, a method or a global function: x is what it is applied to.
type builtin struct {
	signature
	fn      func(r *render, x Value, a []Value) Value
	raw     func(r *render, x Value, a *args) Value // instead of fn, where the parameters are not fixed
	refused string                                  // instead of both: what is not supported
	unsafe  bool                                    // instead of both: the sandbox refuses it, for it changes a value
}

func (b *builtin) call(r *render, x Value, a *args) Value {
	b.check()
	if b.raw != nil {
		return b.raw(r, x, a)
	}
	return b.fn(r, x, b.bind(a))
}

// check panics for what is in a table only to be refused.
func (b *builtin) check() {
	if b.refused != "" {
		panic(unsupported("%s", b.refused))
	}
}

// table holds builtins by their names.
type table map[string]*builtin

// add puts a builtin under each of the names; newSignature reads the params.
func (t table) add(names, params string, fn func(r *render, x Value, a []Value) Value) {
	t.put(names, builtin{signature: newSignature(params), fn: fn})
}

// addRaw puts a builtin that reads its arguments itself.
func (t table) addRaw(names string, fn func(r *render, x Value, a *args) Value) {
	t.put(names, builtin{raw: fn})
}

// refuse puts names that Jinja or Python has and this package has not. what, with the name in it, is what the error says.
func (t table) refuse(what, names string) {
	for _, name := range strings.Fields(names) {
		t[name] = &builtin{refused: fmt.Sprintf(what, name)}
	}
}

func (t table) put(names string, b builtin) {
	for _, name := range strings.Fields(names) {
		one := b
		one.label = name + "()"
		t[name] = &one
	}
}

// function is a builtin as a value: a method with the value that it belongs to, or a global.
type function struct {
	*builtin
	self Value
}

// globals are the functions that every template sees.
var globals = table{}

func init() {
	globals.add("range", "start stop? step?", callRange)
	globals.addRaw("dict", func(r *render, _ Value, a *args) Value { return r.makeDict(a) })
	globals.addRaw("namespace", func(r *render, _ Value, a *args) Value { return &namespace{attrs: r.makeDict(a)} })
	globals.add("raise_exception", "message", func(r *render, _ Value, a []Value) Value {
		panic(errorf("TemplateError", "%s", r.str(a[0])))
	})
	globals.add("strftime_now", "format", func(r *render, _ Value, a []Value) Value {
		format := text(a[0])
		r.grow(int64(8 * len(format)))
		return strftime(r.now(), format)
	})
	globals.refuse("the function '%s'", "cycler joiner lipsum")
}

func callRange(r *render, _ Value, a []Value) Value {
	start, stop, step := int64(0), intArg(a[0]), intArg(given(a[2], int64(1)))
	if a[1] != absent {
		start, stop = stop, intArg(a[1])
	}
	require(step != 0, "ValueError", "range() arg 3 must not be zero")
	n := rangeLen(start, stop, step)
	const tooBig = "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d)."
	require(n <= uint64(r.limits.Range), "OverflowError", tooBig, r.limits.Range)
	r.grow(24 * int64(n))
	out := make([]Value, n)
	for i := range out {
		out[i] = start + int64(i)*step
	}
	return &List{Items: out, kind: ranged}
}

// makeDict is the dict of a call's named arguments.
func (r *render) makeDict(a *args) *Dict {
	refuseIf(len(a.pos) > 0, "a dict or namespace of a mapping or of pairs")
	d := NewDict()
	for i, name := range a.names {
		r.put(d, name, a.named[i])
	}
	return d
}

// directives are strftime's that chat templates use, as layouts of package time.
var directives = map[string]string{
	"Y": "2006", "m": "01", "d": "02", "H": "15", "M": "04", "S": "05", "y": "06", "I": "03", "p": "PM", "j": "002", "e": "_2",
	"b": "Jan", "h": "Jan", "B": "January", "a": "Mon", "A": "Monday", "F": "2006-01-02", "T": "15:04:05",
}

var directive = regexp.MustCompile(`(?s)%-?.`)

// strftime writes a time as C does; "-" in a directive takes the zeros in front of a number away.
func strftime(t time.Time, format string) string {
	return directive.ReplaceAllStringFunc(format, func(d string) string {
		code, short := strings.CutPrefix(d[1:], "-")
		text := t.Format(directives[code])
		if d == "%%" {
			return "%"
		}
		refuseIf(text == "", "strftime_now's directive %q", d)
		if short {
			text = cmp.Or(strings.TrimLeft(text, "0 "), "0")
		}
		return text
	})
}

// tests holds the tests that may follow "is".
var tests = table{}

var callables = []string{"builtin_function_or_method", "Macro", "LoopContext", "Undefined"}

func init() { // here, because select and map lead from filters to tests
	for name, is := range map[string]func(v Value) bool{
		"defined":   func(v Value) bool { return !isUndefined(v) },
		"undefined": isUndefined,
		"none":      func(v Value) bool { return v == nil },
		"boolean":   func(v Value) bool { return typeName(v) == "bool" },
		"true":      func(v Value) bool { return v == true },
		"false":     func(v Value) bool { return v == false },
		"integer":   func(v Value) bool { return typeName(v) == "int" },
		"float":     func(v Value) bool { return typeName(v) == "float" },
		"number":    isNumber,
		"string":    func(v Value) bool { _, ok := asString(v); return ok },
		"mapping":   func(v Value) bool { return typeName(v) == "dict" },
		"sequence":  isIndexed,
		"iterable":  func(v Value) bool { return iterable(v) || typeName(v) == "LoopContext" },
		"callable":  func(v Value) bool { return slices.Contains(callables, typeName(v)) },
	} {
		tests.add(name, "", func(_ *render, v Value, _ []Value) Value { return is(v) })
	}
	for names, op := range map[string]string{"eq equalto ==": "==", "ne !=": "!=", "in": "in"} {
		tests.add(names, "other", func(r *render, v Value, a []Value) Value { return r.compare(op, v, a[0]) })
	}
	for name, rest := range map[string]int64{"even": 0, "odd": 1} {
		tests.add(name, "", func(r *render, v Value, _ []Value) Value { return r.equal(r.arith("%", v, int64(2)), rest) })
	}
	tests.refuse("the test '%s'", `divisibleby escaped filter ge greaterthan gt le lessthan lower lt sameas test upper < <= > >=`)
}

func isUndefined(v Value) bool {
	_, is := v.(*Undefined)
	return is
}

// isIndexed says whether a value has a length and items.
func isIndexed(v Value) bool {
	if l, ok := v.(*List); ok {
		return l.kind == list || l.kind == tuple || l.kind == ranged
	}
	return iterable(v)
}
