package jinja

import (
	"cmp"
	"regexp"
	"strings"
	"time"
)

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
	start, stop, step := intArg(a[0], 0), intArg(a[1], 0), intArg(a[2], 1)
	if a[1] == absent {
		start, stop = 0, start
	}
	require(step != 0, "ValueError", "range() arg 3 must not be zero")
	const far = 1 << 61
	n := int64(far)
	if max(start, stop, step) < far && min(start, stop, step) > -far {
		n = rangeLen(start, stop, step)
	}
	const tooBig = "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d)."
	require(n <= int64(r.limits.Range), "OverflowError", tooBig, r.limits.Range)
	r.grow(24 * n)
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
		switch text := t.Format(directives[code]); {
		case d == "%%":
			return "%"
		case text == "":
			panic(unsupported("strftime_now's directive %q", d))
		case short:
			return cmp.Or(strings.TrimLeft(text, "0 "), "0")
		default:
			return text
		}
	})
}
