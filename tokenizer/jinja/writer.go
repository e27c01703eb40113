package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// style is what repr and json.dumps spell each in their own way.
type style struct {
	none   string
	bools  map[bool]string
	quote  func(s string) string
	isJSON bool
}

var (
	pythonStyle = style{none: "None", bools: map[bool]string{true: "True", false: "False"}, quote: quoteRepr}
	jsonStyle   = style{none: "null", bools: map[bool]string{true: "true", false: "false"}, quote: quoteJSON, isJSON: true}
)

// scalar spells None, a bool, a number or a text.
func (s *style) scalar(v Value) (string, bool) {
	if text, ok := asString(v); ok {
		return s.quote(text), true
	}
	switch v := v.(type) {
	case nil:
		return s.none, true
	case bool:
		return s.bools[v], true
	case int64:
		return strconv.FormatInt(v, 10), true
	case bigInt:
		return string(v), true
	case float64:
		return floatText(v), true
	}
	return "", false
}

// floatText is Python's repr of a float: the shortest digits that round-trip, with an exponent below 1e-4 and from 1e16
// on.
func floatText(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// writer writes values in a style.
type writer struct {
	*style
	r        *render
	b        strings.Builder
	indented bool
	indent   string
	itemSep  string
	keySep   string
	depth    int
}

// str is Python's str(v).
func (r *render) str(v Value) string {
	if text, ok := asString(v); ok {
		return text
	}
	if isUndefined(v) {
		return ""
	}
	w := writer{style: &pythonStyle, r: r, itemSep: ", ", keySep: ": "}
	w.value(v)
	return w.b.String()
}

func (w *writer) put(s string) {
	w.r.grow(int64(len(s)))
	w.b.WriteString(s)
}

func (w *writer) value(v Value) {
	w.r.enter()
	if text, ok := asString(v); ok {
		w.r.slowWork(len(text))
	}
	plain, isPlain := w.scalar(v)
	l, isList := v.(*List)
	d, isDict := v.(*Dict)
	switch {
	case isPlain:
		w.put(plain)
	case isDict:
		w.group("{", "}", d.Len(), func(i int) { w.entry(d.entries[i]) })
	case isList && (l.kind == list || l.kind == tuple):
		opening, closing := "[", "]"
		if l.kind == tuple && !w.isJSON {
			opening, closing = "(", ")"
			if len(l.Items) == 1 {
				closing = ",)"
			}
		}
		w.group(opening, closing, len(l.Items), func(i int) { w.value(l.Items[i]) })
	case w.isJSON:
		panic(errorf("TypeError", "Object of type %s is not JSON serializable", typeName(v)))
	default:
		panic(unsupported("printing a %s", typeName(v)))
	}
	w.r.leave()
}

func (w *writer) entry(e entry) {
	_, isText := asString(e.key)
	refuseIf(w.isJSON && !isText, "a key that is no str in JSON")
	w.value(e.key)
	w.put(w.keySep)
	w.value(e.val)
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

func (w *writer) newline() {
	if w.indented {
		w.r.growTimes(len(w.indent)+1, int64(w.depth+1))
		w.b.WriteString("\n" + strings.Repeat(w.indent, w.depth))
	}
}

func quoteJSON(s string) string { return quoted(s, '"', jsonEscape) }

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
	}
	return strings.Trim(strconv.QuoteRuneToASCII(c), "'")
}
