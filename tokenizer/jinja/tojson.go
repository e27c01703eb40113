package jinja

import (
	"math"
	"math/big"
	"sort"
	"strings"
	"unicode/utf16"
)

// jsonWriter writes what Python's json.dumps writes.
type jsonWriter struct {
	m           *machine
	b           strings.Builder
	ascii       bool
	sortKeys    bool
	indented    bool
	indent      string
	itemSep     string
	keySep      string
	indentDepth int
}

// filterToJSON is Hugging Face's replacement of Jinja's tojson: plain
// json.dumps with ensure_ascii off, no HTML escapes, keys in their own order.
func filterToJSON(m *machine, v Value, a *args) (Value, error) {
	p, err := a.bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	w := &jsonWriter{m: m, itemSep: ", ", keySep: ": "}
	if p[0] != absent {
		w.ascii = truth(p[0])
	}
	if p[1] != absent && p[1] != nil {
		w.indented, w.itemSep = true, ","
		if s, ok := asString(p[1]); ok {
			w.indent = s
		} else {
			n, ok := asInt(p[1])
			if !ok {
				return nil, typeErr("can't multiply sequence by non-int of type '%s'", typeName(p[1]))
			}
			n = max(n, 0)
			if err := m.grow(n); err != nil {
				return nil, err
			}
			w.indent = strings.Repeat(" ", int(n))
		}
	}
	if p[2] != absent && p[2] != nil {
		seps, err := m.list(p[2])
		if err != nil {
			return nil, err
		}
		if len(seps) != 2 {
			return nil, valueErr("tojson: separators must be a pair of strings, got %d elements", len(seps))
		}
		item, ok1 := asString(seps[0])
		key, ok2 := asString(seps[1])
		if !ok1 || !ok2 {
			return nil, typeErr("tojson: separators must be strings, got %s and %s", typeName(seps[0]), typeName(seps[1]))
		}
		w.itemSep, w.keySep = item, key
	}
	if p[3] != absent {
		w.sortKeys = truth(p[3])
	}
	if err := w.value(v); err != nil {
		return nil, err
	}
	return w.b.String(), nil
}

func (w *jsonWriter) put(s string) error {
	if err := w.m.grow(int64(len(s))); err != nil {
		return err
	}
	w.b.WriteString(s)
	return nil
}

func (w *jsonWriter) newline() error {
	if !w.indented {
		return nil
	}
	if err := w.m.grow(int64(1 + len(w.indent)*w.indentDepth)); err != nil {
		return err
	}
	w.b.WriteByte('\n')
	for range w.indentDepth {
		w.b.WriteString(w.indent)
	}
	return nil
}

func (w *jsonWriter) value(v Value) error {
	if err := w.m.enter(); err != nil {
		return err
	}
	defer w.m.leave()
	if err := w.m.bigText(v); err != nil {
		return err
	}
	if s, ok := jsonScalar(v); ok {
		return w.put(s)
	}
	switch v := v.(type) {
	case string:
		return w.text(v)
	case Markup:
		return w.text(string(v))
	case *List:
		return w.array(v.Items)
	case *Tuple:
		return w.array(v.Items)
	case *Dict:
		return w.object(v)
	}
	return typeErr("Object of type %s is not JSON serializable", typeName(v))
}

func jsonScalar(v Value) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "null", true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN", true
		case math.IsInf(v, 1):
			return "Infinity", true
		case math.IsInf(v, -1):
			return "-Infinity", true
		}
		return floatRepr(v), true
	case int64, *big.Int:
		return scalarStr(v)
	}
	return "", false
}

func (w *jsonWriter) array(items []Value) error {
	if len(items) == 0 {
		return w.put("[]")
	}
	if err := w.put("["); err != nil {
		return err
	}
	w.indentDepth++
	for i, it := range items {
		if i > 0 {
			if err := w.put(w.itemSep); err != nil {
				return err
			}
		}
		if err := w.newline(); err != nil {
			return err
		}
		if err := w.value(it); err != nil {
			return err
		}
	}
	w.indentDepth--
	if err := w.newline(); err != nil {
		return err
	}
	return w.put("]")
}

func (w *jsonWriter) object(d *Dict) error {
	if d.Len() == 0 {
		return w.put("{}")
	}
	order := make([]int, d.Len())
	for i := range order {
		order[i] = i
	}
	if w.sortKeys {
		var failed error
		sort.SliceStable(order, func(i, j int) bool {
			less, err := w.m.less(d.keys[order[i]], d.keys[order[j]], "<")
			if err != nil && failed == nil {
				failed = err
			}
			return less
		})
		if failed != nil {
			return failed
		}
	}
	if err := w.put("{"); err != nil {
		return err
	}
	w.indentDepth++
	for n, i := range order {
		if n > 0 {
			if err := w.put(w.itemSep); err != nil {
				return err
			}
		}
		if err := w.newline(); err != nil {
			return err
		}
		key, ok := asString(d.keys[i])
		if !ok {
			if err := w.m.bigText(d.keys[i]); err != nil {
				return err
			}
			if key, ok = jsonScalar(d.keys[i]); !ok {
				return typeErr("keys must be str, int, float, bool or None, not %s", typeName(d.keys[i]))
			}
		}
		if err := w.text(key); err != nil {
			return err
		}
		if err := w.put(w.keySep); err != nil {
			return err
		}
		if err := w.value(d.vals[i]); err != nil {
			return err
		}
	}
	w.indentDepth--
	if err := w.newline(); err != nil {
		return err
	}
	return w.put("}")
}

func (w *jsonWriter) text(s string) error {
	// Charged before writing; escapes at most multiply by six.
	if err := w.m.grow(int64(len(s) + 2)); err != nil {
		return err
	}
	const hex = "0123456789abcdef"
	w.b.WriteByte('"')
	start := 0
	flush := func(to, next int, escape string) error {
		w.b.WriteString(s[start:to])
		start = next
		if err := w.m.grow(int64(len(escape))); err != nil {
			return err
		}
		w.b.WriteString(escape)
		return nil
	}
	for i, r := range s {
		escape := ""
		switch {
		case r == '"' || r == '\\':
			escape = `\` + string(r)
		case r == '\n':
			escape = `\n`
		case r == '\r':
			escape = `\r`
		case r == '\t':
			escape = `\t`
		case r == '\b':
			escape = `\b`
		case r == '\f':
			escape = `\f`
		case r < 0x20 || (w.ascii && r >= 0x7f && r < 0x10000):
			if r == 0x7f {
				continue
			}
			escape = string([]byte{'\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15]})
		case w.ascii && r >= 0x10000:
			for _, u := range [2]rune(pair(r)) {
				escape += string([]byte{'\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15]})
			}
		default:
			continue
		}
		if err := flush(i, i+len(string(r)), escape); err != nil {
			return err
		}
	}
	w.b.WriteString(s[start:])
	w.b.WriteByte('"')
	return nil
}

func pair(r rune) []rune {
	hi, lo := utf16.EncodeRune(r)
	return []rune{hi, lo}
}
