package jinja

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// filters holds the filters; refusedFilters are Jinja's own that chat templates do not use.
var filters = table{}

var refusedFilters = words(`attr batch center e escape filesizeformat float forceescape groupby pprint random reverse slice striptags
	truncate urlencode urlize wordcount wordwrap xmlattr`)

func init() { // here, because map and select lead back to this table
	filters.add("default d", "default_value? boolean?", filterDefault)
	filters.add("length count", "", func(r *render, v Value, _ []Value) Value { return r.length(v) })
	filters.add("string", "", filterString)
	filters.add("safe", "", func(r *render, v Value, _ []Value) Value { return safeText(r.str(v)) })
	filters.add("lower", "", caseFilter(lowerText))
	filters.add("upper", "", caseFilter(upperText))
	filters.add("capitalize", "", caseFilter(capitalText))
	filters.add("title", "", func(r *render, v Value, _ []Value) Value { return r.mapped(r.str(v), titleFilter) })
	filters.add("trim", "chars?", func(r *render, v Value, a []Value) Value {
		return like(v, r.trim(r.str(v), a[0], true, true))
	})
	filters.add("replace", "old new count?", func(r *render, v Value, a []Value) Value {
		count := a[2]
		if count == nil {
			count = absent
		}
		return r.replace(r.str(v), r.str(a[0]), r.str(a[1]), intArg(count, -1))
	})
	filters.add("indent", "width? first? blank?", filterIndent)
	filters.addRaw("format", filterFormat)
	filters.add("tojson", "ensure_ascii? indent? separators? sort_keys?", filterToJSON)
	filters.add("int", "default? base?", filterInt)
	filters.add("abs", "", filterAbs)
	filters.add("round", "precision? method?", filterRound)
	addListFilters(filters)
}

func filterDefault(_ *render, v Value, a []Value) Value {
	if _, undef := v.(*Undefined); !undef && (!isSet(a[1]) || truth(v)) {
		return v
	}
	if a[0] == absent {
		return ""
	}
	return a[0]
}

func filterString(r *render, v Value, _ []Value) Value {
	if _, ok := asString(v); ok {
		return v
	}
	return r.str(v)
}

func caseFilter(f func(string) string) func(*render, Value, []Value) Value {
	return func(r *render, v Value, _ []Value) Value { return like(v, r.mapped(r.str(v), f)) }
}

// mapped is f(s), charged before it is made.
func (r *render) mapped(s string, f func(string) string) string {
	r.slowWork(len(s))
	r.grow(int64(2 * len(s)))
	return f(s)
}

func (r *render) replace(s, old, repl string, most int64) Value {
	r.work(len(s))
	count := int64(strings.Count(s, old))
	if most >= 0 {
		count = min(count, most)
	}
	if count == 0 {
		return s
	}
	r.growTimes(len(repl)+1, count)
	r.grow(int64(len(s)))
	return strings.Replace(s, old, repl, int(count))
}

func filterIndent(r *render, v Value, a []Value) Value {
	defined(v)
	s, ok := asString(v)
	if isKind(v, list) {
		panic(errorf("AttributeError", "'list' object has no attribute 'splitlines'"))
	}
	if !ok {
		panic(typeErr("unsupported operand type(s) for +=: '%s' and 'str'", typeName(v)))
	}
	by, isText := asString(a[0])
	if !isText {
		by = r.repeat(" ", intArg(a[0], 4)).(string)
	}
	r.grow(int64(2 * len(s)))
	lines := splitLines(s + "\n")
	r.growTimes(len(by)+1, int64(len(lines)+1))
	for i, line := range lines {
		if i > 0 && (line != "" || isSet(a[2])) || i == 0 && isSet(a[1]) {
			lines[i] = by + line
		}
	}
	return like(v, strings.Join(lines, "\n"))
}

// format is str % value: %s and %d, in their order.
func (r *render) format(format string, v Value) Value {
	rest := []Value{v}
	if isKind(v, tuple) {
		rest = v.(*List).Items
	}
	var b strings.Builder
	r.grow(int64(len(format)))
	for format != "" {
		text, verb, found := strings.Cut(format, "%")
		b.WriteString(text)
		if !found {
			break
		}
		switch {
		case verb == "":
			panic(valueErr("incomplete format"))
		case verb[0] == '%':
			b.WriteByte('%')
		case verb[0] != 's' && verb[0] != 'd':
			panic(unsupported("the format '%%%s'", clip(verb[:min(len(verb), 8)])))
		case len(rest) == 0:
			panic(typeErr("not enough arguments for format string"))
		default:
			s := formatOne(r, verb[0], rest[0])
			r.grow(int64(len(s)))
			b.WriteString(s)
			rest = rest[1:]
		}
		format = verb[1:]
	}
	_, isDict := v.(*Dict)
	if _, undef := v.(*Undefined); len(rest) > 0 && !isDict && !undef && !isKind(v, list) && !isKind(v, ranged) {
		panic(typeErr("not all arguments converted during string formatting"))
	}
	return b.String()
}

func formatOne(r *render, verb byte, v Value) string {
	if verb == 's' {
		return r.str(v)
	}
	if f, ok := v.(float64); ok {
		v = floatToInt(f)
	}
	if !isNumber(v) {
		panic(typeErr("%%d format: a real number is required, not %s", typeName(v)))
	}
	if n, ok := asInt(v); ok {
		v = n
	}
	return r.str(v)
}

func filterFormat(r *render, v Value, a *args) Value {
	if len(a.kwNames) > 0 {
		panic(unsupported("the filter 'format' with names"))
	}
	return r.format(r.str(v), &List{Items: a.pos, kind: tuple})
}

// filterToJSON is Hugging Face's replacement of Jinja's tojson: plain json.dumps with ensure_ascii off, no HTML escapes,
// keys in their own order.
func filterToJSON(r *render, v Value, a []Value) Value {
	w := &writer{scalarWords: &jsonWords, r: r, json: true, itemSep: ", ", keySep: ": "}
	w.ascii, w.sortKeys = isSet(a[0]), isSet(a[3])
	if a[1] != absent && a[1] != nil {
		w.indented, w.itemSep = true, ","
		indent, isText := asString(a[1])
		if !isText {
			indent = r.repeat(" ", intArg(a[1], 0)).(string)
		}
		w.indent = indent
	}
	if a[2] != absent && a[2] != nil {
		seps := r.items(a[2])
		if len(seps) != 2 {
			panic(valueErr("tojson: separators has %d elements: give a pair of strings", len(seps)))
		}
		w.itemSep, w.keySep = textArg(seps[0], ""), textArg(seps[1], "")
	}
	w.value(v)
	return w.b.String()
}

var integerRE = regexp.MustCompile(`^[-+]?` + digits + `$`)

func filterInt(r *render, v Value, a []Value) Value {
	if intArg(a[1], 10) != 10 {
		panic(unsupported("the filter 'int' with another base than ten"))
	}
	defined(v)
	switch x := v.(type) {
	case bool, int64:
		n, _ := asInt(x)
		return n
	case bigInt:
		return x
	case float64:
		return floatToInt(x)
	}
	if text, ok := asString(v); ok {
		r.work(4 * len(text))
		s := numberText(text)
		if integerRE.MatchString(s) {
			if v, err := parseInteger(strings.TrimPrefix(strings.ReplaceAll(s, "_", ""), "+")); err == nil {
				return v
			}
		}
		if f, ok := parseFloat(s); ok && !math.IsNaN(f) {
			return floatToInt(f)
		}
	}
	if a[0] == absent {
		return int64(0)
	}
	return a[0]
}

// numberText is the text that Python's int and float read.
func numberText(s string) string {
	s = strings.TrimFunc(s, isSpace)
	if strings.ContainsFunc(s, func(c rune) bool { return c > unicode.MaxASCII && unicode.IsDigit(c) }) {
		panic(unsupported("a number in other digits than 0 to 9"))
	}
	return s
}

// parseFloat is Python's float(s).
func parseFloat(s string) (float64, bool) {
	if strings.ContainsAny(s, "xXpP") || strings.HasPrefix(s, "_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

func floatToInt(f float64) Value {
	switch {
	case math.IsNaN(f):
		panic(valueErr("cannot convert float NaN to integer"))
	case math.IsInf(f, 0):
		panic(errorf("OverflowError", "cannot convert float infinity to integer"))
	case math.Abs(f) >= 1<<63:
		return bigInt(strconv.FormatFloat(math.Trunc(f), 'f', 0, 64))
	}
	return int64(f)
}

func filterAbs(_ *render, v Value, _ []Value) Value {
	n, ok := asInt(v)
	switch {
	case !ok:
		f, isFloat := v.(float64)
		if refuseBig(v); !isFloat {
			panic(typeErr("bad operand type for abs(): '%s'", typeName(v)))
		}
		return math.Abs(f)
	case n < 0:
		return intArith("-", 0, n)
	}
	return n
}

func filterRound(_ *render, v Value, a []Value) Value {
	places := intArg(a[0], 0)
	refuseBig(v)
	n, isInt := asInt(v)
	f, isFloat := v.(float64)
	switch {
	case places < 0 || places > 300 || textArg(a[1], "common") != "common":
		panic(unsupported("the filter 'round' but for common rounding to 0 to 300 places"))
	case isInt:
		return n
	case !isFloat:
		panic(typeErr("type %s doesn't define __round__ method", typeName(v)))
	}
	// FormatFloat rounds the exact binary value, half to even, as CPython does.
	out, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(places), 64), 64)
	return out
}
