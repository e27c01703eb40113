package jinja

import (
	"strings"
)

// percent is str % value.
func (m *machine) percent(format string, v Value) (string, error) {
	if err := m.work(len(format)); err != nil {
		return "", err
	}
	var list []Value
	named, isDict := v.(*Dict)
	if t, ok := v.(*Tuple); ok {
		list = t.Items
	} else {
		list = []Value{v}
	}
	used, usedName := 0, false
	var b strings.Builder
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			break
		}
		if err := m.grow(int64(i)); err != nil {
			return "", err
		}
		b.WriteString(format[:i])
		format = format[i+1:]
		take := func() (Value, error) {
			if used >= len(list) {
				return nil, typeErr("not enough arguments for format string")
			}
			used++
			return list[used-1], nil
		}
		if strings.HasPrefix(format, "(") {
			j := strings.IndexByte(format, ')')
			if j < 0 {
				return "", valueErr("incomplete format key")
			}
			if !isDict {
				return "", typeErr("format requires a mapping")
			}
			key := format[1:j]
			format = format[j+1:]
			usedName = true
			take = func() (Value, error) {
				x, ok := named.Get(key)
				if !ok {
					return nil, failf("KeyError", "%s", quoteRepr(clip(key)))
				}
				return x, nil
			}
		}
		text, rest, err := m.percentOne(format, take)
		if err != nil {
			return "", err
		}
		if err := m.grow(int64(len(text))); err != nil {
			return "", err
		}
		b.WriteString(text)
		format = rest
	}
	if _, isTuple := v.(*Tuple); used < len(list) && !usedName && (isTuple || !subscriptable(v)) {
		return "", typeErr("not all arguments converted during string formatting")
	}
	if err := m.grow(int64(len(format))); err != nil {
		return "", err
	}
	b.WriteString(format)
	return b.String(), nil
}

// subscriptable values are taken for a mapping, so that unused ones are no
// error, as in Python.
func subscriptable(v Value) bool {
	switch v.(type) {
	case *Dict, *List, *Undefined, *rangeValue:
		return true
	}
	return false
}

func isList(v Value) bool { _, ok := v.(*List); return ok }

// percentOne formats one conversion after its "%" and "(key)".
func (m *machine) percentOne(format string, take func() (Value, error)) (text, rest string, err error) {
	f := spec{fill: " ", align: '>', precision: -1}
	zero := false
flags:
	for format != "" {
		switch format[0] {
		case '-':
			f.align = '<'
		case '+':
			f.sign = '+'
		case ' ':
			if f.sign == 0 {
				f.sign = ' '
			}
		case '0':
			zero = true
		case '#':
			f.alt = true
		default:
			break flags
		}
		format = format[1:]
	}
	number := func(none int64) (int64, error) {
		if strings.HasPrefix(format, "*") {
			format = format[1:]
			v, err := take()
			if err != nil {
				return 0, err
			}
			n, ok := v.(int64)
			if !ok {
				return 0, typeErr("* wants int")
			}
			if n > maxFormat || n < -maxFormat {
				return 0, &LimitError{What: "format width", Limit: maxFormat}
			}
			if n < 0 {
				f.align = '<'
				n = -n
			}
			return n, nil
		}
		var n int64
		n, format, err = takeNumber(format, none)
		return n, err
	}
	if f.width, err = number(0); err != nil {
		return "", "", err
	}
	if strings.HasPrefix(format, ".") {
		format = format[1:]
		if f.precision, err = number(0); err != nil {
			return "", "", err
		}
	}
	format = strings.TrimLeft(format, "hlL")
	if format == "" {
		return "", "", valueErr("incomplete format")
	}
	verb := format[0]
	rest = format[1:]
	if verb == '%' {
		return "%", rest, nil
	}
	v, err := take()
	if err != nil {
		return "", "", err
	}
	if zero && f.align == '>' && strings.IndexByte("sra", verb) < 0 {
		f.fill, f.align = "0", '='
	}
	text, err = m.percentValue(&f, verb, v)
	return text, rest, err
}

func (m *machine) percentValue(f *spec, verb byte, v Value) (string, error) {
	switch verb {
	case 's', 'r', 'a':
		s, err := "", error(nil)
		if verb == 's' {
			s, err = m.str(v)
		} else {
			s, err = m.repr(v)
		}
		if err != nil {
			return "", err
		}
		return m.padFormat(f, "", cutRunes(s, f.precision))
	case 'c':
		if s, ok := asString(v); ok && runeLen(s) == 1 {
			return m.padFormat(f, "", s)
		}
		n, ok := v.(int64)
		if !ok || n < 0 || n > 0x10ffff {
			return "", typeErr("%%c requires int or char")
		}
		return m.padFormat(f, "", string(rune(n)))
	case 'd', 'i', 'u', 'x', 'X', 'o':
		if x, ok := v.(float64); ok && strings.IndexByte("diu", verb) >= 0 {
			n, err := floatToInt(x)
			if err != nil {
				return "", err
			}
			v = n
		}
		if !isInt(v) {
			what := "a real number"
			if strings.IndexByte("xXo", verb) >= 0 {
				what = "an integer"
			}
			return "", typeErr("%%%c format: %s is required, not %s", verb, what, typeName(v))
		}
		digits := f.precision
		f.precision, f.verb = -1, verb
		if strings.IndexByte("iu", verb) >= 0 {
			f.verb = 'd'
		}
		sign, body, err := m.formatNumber(f, v)
		if err != nil {
			return "", err
		}
		if body, err = m.padText("rjust", body, digits, "0"); err != nil {
			return "", err
		}
		return m.padFormat(f, sign, body)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if !isNumber(v) {
			return "", typeErr("must be real number, not %s", typeName(v))
		}
		f.verb = verb
		sign, body, err := m.formatNumber(f, v)
		if err != nil {
			return "", err
		}
		return m.padFormat(f, sign, body)
	}
	return "", valueErr("unsupported format character '%c' (0x%x)", verb, verb)
}

func filterFormat(m *machine, v Value, a *args) (Value, error) {
	s, err := m.softText(v)
	if err != nil {
		return nil, err
	}
	if len(a.pos) > 0 && len(a.kwNames) > 0 {
		return nil, failf("FilterArgumentError", "can't handle positional and keyword arguments at the same time")
	}
	var with Value = &Tuple{Items: a.pos}
	if len(a.kwNames) > 0 {
		d := NewDict()
		for i, k := range a.kwNames {
			if err := d.setValue(m, k, a.kwVals[i]); err != nil {
				return nil, err
			}
		}
		with = d
	}
	out, err := m.percent(s, with)
	return likeText(v, out), err
}
