package jinja

import (
	"math"
	"regexp"
	"strings"
	"unicode"
)

// filters holds the filters.
var filters = table{}

func init() { // here, because map and select lead back to this table
	filters.refuse("the filter '%s'", `abs attr batch center e escape filesizeformat float forceescape groupby max min pprint
		random reverse round slice striptags sum truncate urlencode urlize wordcount wordwrap xmlattr`)
	filters.add("default d", "default_value? boolean?", filterDefault)
	filters.add("length count", "", func(r *render, v Value, _ []Value) Value { return r.length(v) })
	filters.add("string", "", func(r *render, v Value, _ []Value) Value { return like(v, r.str(v)) })
	filters.add("safe", "", func(r *render, v Value, _ []Value) Value { return safeText(r.str(v)) })
	filters.add("lower", "", mapped(lowerText))
	filters.add("upper", "", mapped(upperText))
	filters.add("capitalize", "", mapped(capitalText))
	filters.add("title", "", func(r *render, v Value, a []Value) Value { return mapped(titleFilter)(r, r.str(v), a) })
	filters.add("trim", "chars?", trimmed(strings.TrimFunc))
	filters.add("replace", "old new count!", func(r *render, v Value, a []Value) Value {
		return r.replace(r.str(v), r.str(a[0]), r.str(a[1]))
	})
	filters.add("indent", "width? first? blank!", filterIndent)
	filters.addRaw("format", filterFormat)
	filters.add("tojson", "ensure_ascii? indent? separators? sort_keys!", filterToJSON)
	filters.add("int", "default? base!", filterInt)
}

func filterDefault(_ *render, v Value, a []Value) Value {
	if !isUndefined(v) && (!isSet(a[1]) || truth(v)) {
		return v
	}
	return given(a[0], "")
}

// lineBreaks makes what str.splitlines takes for the end of a line a newline.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\x1c", "\n", "\x1d", "\n",
	"\x1e", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// filterIndent indents the lines that are not empty.
func filterIndent(r *render, v Value, a []Value) Value {
	defined(v)
	s, ok := asString(v)
	refuseIf(!ok, "the filter 'indent' on a %s", typeName(v))
	by := r.indentation(given(a[0], int64(4)))
	r.slowWork(len(s))
	r.grow(int64(3 * len(s)))
	lines := strings.Split(strings.TrimSuffix(lineBreaks.Replace(s+"\n"), "\n"), "\n")
	r.growTimes(len(by)+1, int64(len(lines)+1))
	for i, line := range lines {
		if i > 0 && line != "" || i == 0 && isSet(a[1]) {
			lines[i] = by + line
		}
	}
	return like(v, strings.Join(lines, "\n"))
}

// indentation is an argument that is a text, or a number of blanks.
func (r *render) indentation(width Value) string {
	if text, ok := asString(width); ok {
		return text
	}
	return r.repeat(" ", intArg(width)).(string)
}

var verbs = regexp.MustCompile(`(?s)%.?`)

// filterFormat is str % args, with %s only.
func filterFormat(r *render, v Value, a *args) Value {
	refuseIf(len(a.names) > 0, "the filter 'format' with names")
	format, rest := r.str(v), a.pos
	r.slowWork(len(format))
	r.grow(int64(len(format)))
	text := verbs.ReplaceAllStringFunc(format, func(verb string) string {
		if verb == "%%" {
			return "%"
		}
		refuseIf(verb != "%s", "the format '%s'", verb)
		require(len(rest) > 0, "TypeError", "not enough arguments for format string")
		s := r.str(rest[0])
		rest = rest[1:]
		r.grow(int64(len(s)))
		return s
	})
	require(len(rest) == 0, "TypeError", "not all arguments converted during string formatting")
	return text
}

// filterToJSON is Hugging Face's replacement of Jinja's tojson: plain json.dumps with ensure_ascii off, no HTML escapes,
// keys in their own order.
func filterToJSON(r *render, v Value, a []Value) Value {
	refuseIf(isSet(a[0]), "tojson(ensure_ascii=true)")
	w := &writer{style: &jsonStyle, r: r, itemSep: ", ", keySep: ": "}
	if a[1] != absent && a[1] != nil {
		w.indented, w.itemSep, w.indent = true, ",", r.indentation(a[1])
	}
	if a[2] != absent && a[2] != nil {
		seps := r.items(a[2])
		require(len(seps) == 2, "ValueError", "tojson: separators has %d elements: give a pair of strings", len(seps))
		w.itemSep, w.keySep = text(seps[0]), text(seps[1])
	}
	w.value(v)
	return w.b.String()
}

var integer = regexp.MustCompile(`^[-+]?\d+$`)

// filterInt is the integer that a value is or that its text says, or the whole part of a float, or the default.
func filterInt(r *render, v Value, a []Value) Value {
	defined(v)
	s := strings.TrimFunc(r.str(v), isSpace)
	r.slowWork(len(s))
	if n, ok := asInt(v); ok {
		return n
	}
	if f, ok := v.(float64); ok && math.Abs(f) < 1<<63 {
		return int64(f)
	}
	if n, err := parseInteger(strings.TrimPrefix(s, "+")); err == nil && integer.MatchString(s) {
		return n
	}
	refuseIf(strings.ContainsFunc(s, unicode.IsDigit), "the filter 'int' on %s", shortRepr(v))
	return given(a[0], int64(0))
}
