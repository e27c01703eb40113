package jinja

import (
	"strings"
	"time"
)

// globals are the functions that every template sees; refusedGlobals are Jinja's own that chat templates do not use.
var globals = table{}

var refusedGlobals = words("cycler joiner lipsum")

func init() {
	globals.add("range", "start stop? step? /", callRange)
	globals.addRaw("dict", func(r *render, _ Value, a *args) Value { return r.makeDict(a) })
	globals.addRaw("namespace", func(r *render, _ Value, a *args) Value { return &namespace{attrs: r.makeDict(a)} })
	globals.add("raise_exception", "message", func(r *render, _ Value, a []Value) Value {
		panic(errorf("TemplateError", "%s", r.str(a[0])))
	})
	globals.add("strftime_now", "format", func(r *render, _ Value, a []Value) Value {
		format := textArg(a[0], "")
		r.grow(int64(8 * len(format)))
		return strftime(r.now(), format)
	})
}

func callRange(r *render, _ Value, a []Value) Value {
	start, stop, step := intArg(a[0], 0), intArg(a[1], 0), intArg(a[2], 1)
	if a[1] == absent {
		start, stop = 0, start
	}
	if step == 0 {
		panic(valueErr("range() arg 3 must not be zero"))
	}
	const far = 1 << 61
	n := int64(far)
	if max(start, stop, step) < far && min(start, stop, step) > -far {
		n = rangeLen(start, stop, step)
	}
	if n > int64(r.limits.Range) {
		panic(errorf("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", r.limits.Range))
	}
	r.grow(24 * n)
	out := make([]Value, n)
	for i := range out {
		out[i] = start + int64(i)*step
	}
	return &List{Items: out, kind: ranged}
}

// makeDict is dict(mapping or pairs, **kwargs).
func (r *render) makeDict(a *args) *Dict {
	d := NewDict()
	if len(a.pos) > 1 {
		panic(typeErr("dict expected at most 1 argument, got %d", len(a.pos)))
	}
	for _, from := range a.pos {
		if m, ok := from.(*Dict); ok {
			from = r.view(m, itemsView)
		}
		for i, pair := range r.items(from) {
			if !iterable(pair) {
				panic(typeErr("cannot convert dictionary update sequence element #%d to a sequence", i))
			}
			kv := r.items(pair)
			if len(kv) != 2 {
				panic(valueErr("dictionary update sequence element #%d has length %d; 2 is required", i, len(kv)))
			}
			r.put(d, kv[0], kv[1])
		}
	}
	for i, name := range a.kwNames {
		r.put(d, name, a.kwVals[i])
	}
	return d
}

// directives are strftime's that chat templates use, as layouts of package time.
var directives = map[byte]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'I': "03", 'p': "PM",
	'b': "Jan", 'h': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'e': "_2", 'j': "002",
	'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04",
	'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05",
}

func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		plain := format[i] == '-' && i+1 < len(format) // no zeros in front
		if plain {
			i++
		}
		c := format[i]
		text := t.Format(directives[c])
		switch {
		case c == '%':
			text = "%"
		case directives[c] == "":
			panic(unsupported("strftime_now's directive %q", format[i-1:i+1]))
		case plain:
			if text = strings.TrimLeft(text, "0 "); text == "" {
				text = "0"
			}
		}
		b.WriteString(text)
	}
	return b.String()
}
