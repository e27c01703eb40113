package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// writer writes values as Python's repr or json.dumps does.
type writer struct {
	*scalarWords
	r        *render
	b        strings.Builder
	json     bool
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
	default:
		panic(unsupported("printing a %s (make a list of it)", typeName(l)))
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
	w.group("{", "}", d.Len(), func(i int) {
		e := d.entries[i]
		key := e.key
		if _, isText := asString(key); w.json && !isText {
			s, ok := scalar(key, w.scalarWords)
			if !ok {
				panic(typeErr("keys must be str, int, float, bool or None, not %s", typeName(key)))
			}
			key = s
		}
		w.value(key)
		w.put(w.keySep)
		w.value(e.val)
	})
}

func (w *writer) text(s string) {
	w.r.slowWork(len(s))
	if w.json {
		w.put(quoted(s, '"', jsonEscape))
	} else {
		w.put(quoteRepr(s))
	}
}

// quoteRepr is the repr of a str: single quotes unless only those occur in it.
func quoteRepr(s string) string {
	quote := '\''
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	return quoted(s, quote, func(c rune) string { return reprEscape(c, quote) })
}

// quoted puts a text between quotes, with its characters as escape writes them; "" leaves one as it is.
func quoted(s string, quote rune, escape func(c rune) string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteRune(quote)
	start := 0
	for i, c := range s {
		if text := escape(c); text != "" {
			b.WriteString(s[start:i])
			b.WriteString(text)
			start = i + utf8.RuneLen(c)
		}
	}
	b.WriteString(s[start:])
	b.WriteRune(quote)
	return b.String()
}

// jsonEscape is how json.dumps writes a character that it does not write as it is.
func jsonEscape(c rune) string {
	switch {
	case c == '"' || c == '\\':
		return `\` + string(c)
	case c >= ' ':
		return ""
	}
	if i := strings.IndexRune("\b\f\n\r\t", c); i >= 0 {
		return `\` + "bfnrt"[i:i+1]
	}
	return fmt.Sprintf(`\u%04x`, c)
}

// reprEscape is how repr writes a character that it does not write as it is.
func reprEscape(c, quote rune) string {
	switch {
	case c == quote || c == '\\':
		return `\` + string(c)
	case unicode.IsPrint(c):
		return ""
	case c == '\n' || c == '\r' || c == '\t':
		return jsonEscape(c)
	case c < 0x100:
		return fmt.Sprintf(`\x%02x`, c)
	case c < 0x10000:
		return fmt.Sprintf(`\u%04x`, c)
	}
	return fmt.Sprintf(`\U%08x`, c)
}
