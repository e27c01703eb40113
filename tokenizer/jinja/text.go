package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// str is Python's str(v), charged to the machine.
func (m *machine) str(v Value) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case Markup:
		return string(v), nil
	case *Undefined:
		return "", nil
	}
	return m.repr(v)
}

// repr is Python's repr(v).
func (m *machine) repr(v Value) (string, error) {
	var b strings.Builder
	if err := m.writeRepr(&b, v); err != nil {
		return "", err
	}
	return b.String(), nil
}

// scalarStr is the str of a value that has no parts.
func scalarStr(v Value) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "None", true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case int64:
		return strconv.FormatInt(v, 10), true
	case *big.Int:
		return v.String(), true
	case float64:
		return floatRepr(v), true
	case *Undefined:
		return "Undefined", true
	case *rangeValue:
		s := "range(" + strconv.FormatInt(v.start, 10) + ", " + strconv.FormatInt(v.stop, 10)
		if v.step != 1 {
			s += ", " + strconv.FormatInt(v.step, 10)
		}
		return s + ")", true
	case *generator:
		return "<" + v.kind + " object>", true
	case *macro:
		if v.decl.name == "" {
			return "<Macro anonymous>", true
		}
		return "<Macro " + quoteRepr(v.decl.name) + ">", true
	case *function:
		return "<built-in function " + v.name + ">", true
	case *loop:
		return "<LoopContext " + strconv.FormatInt(v.index0+1, 10) + ">", true
	case *cycler:
		return "<Cycler object>", true
	}
	return "", false
}

func (m *machine) writeRepr(b *strings.Builder, v Value) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	put := func(s string) error {
		if err := m.grow(int64(len(s))); err != nil {
			return err
		}
		b.WriteString(s)
		return nil
	}
	if s, ok := asString(v); ok {
		if err := m.work(len(s)); err != nil {
			return err
		}
		if _, safe := v.(Markup); safe {
			return put("Markup(" + quoteRepr(s) + ")")
		}
		return put(quoteRepr(s))
	}
	if err := m.bigText(v); err != nil {
		return err
	}
	if s, ok := scalarStr(v); ok {
		return put(s)
	}
	seq := func(open, end string, items []Value) error {
		if err := put(open); err != nil {
			return err
		}
		for i, it := range items {
			if i > 0 {
				if err := put(", "); err != nil {
					return err
				}
			}
			if err := m.writeRepr(b, it); err != nil {
				return err
			}
		}
		return put(end)
	}
	switch v := v.(type) {
	case *List:
		return seq("[", "]", v.Items)
	case *Tuple:
		if len(v.Items) == 1 {
			return seq("(", ",)", v.Items)
		}
		return seq("(", ")", v.Items)
	case *Dict:
		return m.writeDictRepr(b, put, v)
	case *namespace:
		if err := put("<Namespace "); err != nil {
			return err
		}
		if err := m.writeDictRepr(b, put, v.attrs); err != nil {
			return err
		}
		return put(">")
	case *dictView:
		items, err := m.list(v)
		if err != nil {
			return err
		}
		return seq(v.kind+"([", "])", items)
	}
	return put("<" + typeName(v) + " object>")
}

func (m *machine) writeDictRepr(b *strings.Builder, put func(string) error, d *Dict) error {
	if err := put("{"); err != nil {
		return err
	}
	for i := range d.keys {
		if i > 0 {
			if err := put(", "); err != nil {
				return err
			}
		}
		if err := m.writeRepr(b, d.keys[i]); err != nil {
			return err
		}
		if err := put(": "); err != nil {
			return err
		}
		if err := m.writeRepr(b, d.vals[i]); err != nil {
			return err
		}
	}
	return put("}")
}

// quoteRepr is the repr of a str: single quotes unless only those occur in it.
func quoteRepr(s string) string {
	q := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		q = '"'
	}
	const hex = "0123456789abcdef"
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte(q)
	for _, r := range s {
		switch {
		case r == rune(q) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r >= ' ' && r < 0x7f:
			b.WriteByte(byte(r))
		case r < 0x100 && !unicode.IsPrint(r):
			b.WriteString(`\x`)
			b.WriteByte(hex[r>>4&15])
			b.WriteByte(hex[r&15])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x10000:
			b.WriteString(`\u`)
			for sh := 12; sh >= 0; sh -= 4 {
				b.WriteByte(hex[r>>sh&15])
			}
		default:
			b.WriteString(`\U`)
			for sh := 28; sh >= 0; sh -= 4 {
				b.WriteByte(hex[r>>sh&15])
			}
		}
	}
	b.WriteByte(q)
	return b.String()
}

// floatRepr is Python's repr of a float: the shortest digits that round-trip,
// with an exponent below 1e-4 and from 1e16 on.
func floatRepr(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	a := math.Abs(f)
	if a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if strings.IndexByte(s, '.') < 0 {
		s += ".0"
	}
	return s
}

// isSpace is Python's str.isspace for one character, which regular
// expressions and strip() use too.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || (r >= 0x1c && r <= 0x1f)
}

// runeLen is Python's len of a str.
func runeLen(s string) int { return utf8.RuneCountInString(s) }
