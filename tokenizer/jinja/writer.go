package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// writer writes values as Python's repr or json.dumps does.
type writer struct {
	*scalarWords
	r        *render
	b        strings.Builder
	json     bool
	ascii    bool // escape what is not ASCII
	sortKeys bool
	indented bool
	indent   string
	itemSep  string
	keySep   string
	depth    int
}

// scalarWords are the spellings in which repr and JSON differ.
type scalarWords struct{ none, yes, no, inf, nan string }

var (
	pythonWords = scalarWords{none: "None", yes: "True", no: "False", inf: "inf", nan: "nan"}
	jsonWords   = scalarWords{none: "null", yes: "true", no: "false", inf: "Infinity", nan: "NaN"}
)

// scalar writes None, a bool or a number.
func scalar(v Value, w *scalarWords) (string, bool) {
	switch v := v.(type) {
	case nil:
		return w.none, true
	case bool:
		if v {
			return w.yes, true
		}
		return w.no, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case bigInt:
		return string(v), true
	case float64:
		return floatText(v, w), true
	}
	return "", false
}

// floatText is Python's repr of a float: the shortest digits that round-trip, with an exponent below 1e-4 and from 1e16
// on.
func floatText(f float64, w *scalarWords) string {
	switch a := math.Abs(f); {
	case math.IsNaN(f):
		return w.nan
	case math.IsInf(f, 1):
		return w.inf
	case math.IsInf(f, -1):
		return "-" + w.inf
	case a != 0 && (a < 1e-4 || a >= 1e16):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if strings.IndexByte(s, '.') < 0 {
		s += ".0"
	}
	return s
}

// str is Python's str(v).
func (r *render) str(v Value) string {
	switch v := v.(type) {
	case string:
		return v
	case safeText:
		return string(v)
	case *Undefined:
		return ""
	}
	w := writer{scalarWords: &pythonWords, r: r, itemSep: ", ", keySep: ": "}
	w.value(v)
	return w.b.String()
}

func (w *writer) put(s string) {
	w.r.grow(int64(len(s)))
	w.b.WriteString(s)
}

func (w *writer) newline() {
	if w.indented {
		w.r.growTimes(len(w.indent)+1, int64(w.depth+1))
		w.b.WriteByte('\n')
		for range w.depth {
			w.b.WriteString(w.indent)
		}
	}
}

func (w *writer) value(v Value) {
	w.r.enter()
	if text, ok := asString(v); ok {
		w.text(text)
	} else if s, ok := scalar(v, w.scalarWords); ok {
		w.put(s)
	} else if l, ok := v.(*List); ok && (!w.json || isSequence(l)) {
		w.list(l)
	} else if d, ok := v.(*Dict); ok {
		w.object(d)
	} else if w.json {
		panic(typeErr("Object of type %s is not JSON serializable", typeName(v)))
	} else {
		w.other(v)
	}
	w.r.leave()
}

// other writes what only repr knows.
func (w *writer) other(v Value) {
	switch v := v.(type) {
	case *Undefined:
		w.put("Undefined")
	case *namespace:
		w.put("<Namespace ")
		w.object(v.attrs)
		w.put(">")
	default:
		panic(unsupported("printing a %s", typeName(v)))
	}
}

func (w *writer) list(l *List) {
	opening, closing := "[", "]"
	switch {
	case w.json || l.kind == list:
	case l.kind == tuple && len(l.Items) == 1:
		opening, closing = "(", ",)"
	case l.kind == tuple:
		opening, closing = "(", ")"
	case l.kind == generator || l.kind == ranged:
		panic(unsupported("printing a %s (make a list of it)", typeName(l)))
	default:
		opening, closing = typeName(l)+"([", "])"
	}
	w.group(opening, closing, len(l.Items), func(i int) { w.value(l.Items[i]) })
}

// group writes n elements between brackets.
func (w *writer) group(opening, closing string, n int, element func(i int)) {
	w.put(opening)
	w.depth++
	for i := range n {
		if i > 0 {
			w.put(w.itemSep)
		}
		w.newline()
		element(i)
	}
	w.depth--
	if n > 0 {
		w.newline()
	}
	w.put(closing)
}

func (w *writer) object(d *Dict) {
	entries := d.entries
	if w.sortKeys {
		w.r.grow(int64(96 * len(entries)))
		entries = slices.Clone(entries)
		slices.SortStableFunc(entries, func(a, b entry) int {
			c, _ := w.r.order(a.key, b.key, "<")
			return c
		})
	}
	w.group("{", "}", len(entries), func(i int) {
		key := entries[i].key
		if _, isText := asString(key); w.json && !isText {
			s, ok := scalar(key, w.scalarWords)
			if !ok {
				panic(typeErr("keys must be str, int, float, bool or None, not %s", typeName(key)))
			}
			key = s
		}
		w.value(key)
		w.put(w.keySep)
		w.value(entries[i].val)
	})
}

func (w *writer) text(s string) {
	if !w.json {
		w.r.slowWork(len(s))
		w.put(quoteRepr(s))
		return
	}
	w.r.grow(int64(len(s) + 2))
	w.b.WriteByte('"')
	start := 0
	for i, c := range s {
		escape := jsonEscape(c, w.ascii)
		if escape == "" {
			continue
		}
		w.b.WriteString(s[start:i])
		w.put(escape)
		start = i + len(string(c))
	}
	w.b.WriteString(s[start:])
	w.b.WriteByte('"')
}

// jsonEscape is how json.dumps writes a character that it does not write as it is.
func jsonEscape(c rune, ascii bool) string {
	switch {
	case c == '"' || c == '\\':
		return `\` + string(c)
	case c >= ' ' && c < 0x7f || c >= 0x7f && !ascii:
		return ""
	case c >= 0x10000:
		hi, lo := utf16.EncodeRune(c)
		return jsonEscape(hi, true) + jsonEscape(lo, true)
	}
	if i := strings.IndexRune("\b\f\n\r\t", c); i >= 0 {
		return `\` + string("bfnrt"[i])
	}
	return hexEscape('u', c, 4)
}

func hexEscape(letter byte, c rune, width int) string {
	s := strconv.FormatInt(int64(c), 16)
	return `\` + string(letter) + strings.Repeat("0", width-len(s)) + s
}

// quoteRepr is the repr of a str: single quotes unless only those occur in it.
func quoteRepr(s string) string {
	quote := '\''
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteRune(quote)
	for _, c := range s {
		i := strings.IndexRune("\n\r\t", c)
		switch {
		case c == quote || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case i >= 0:
			b.WriteString(`\` + string("nrt"[i]))
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x100:
			b.WriteString(hexEscape('x', c, 2))
		case c < 0x10000:
			b.WriteString(hexEscape('u', c, 4))
		default:
			b.WriteString(hexEscape('U', c, 8))
		}
	}
	b.WriteRune(quote)
	return b.String()
}
