package jinja

import (
	"strings"
	"time"
)

// globals are the functions that every template sees. The table is built once
// and never changed.
var globals = map[string]Value{
	"range":           &function{name: "range", call: callRange},
	"namespace":       &function{name: "namespace", call: callNamespace},
	"dict":            &function{name: "dict", call: callDict},
	"raise_exception": &function{name: "raise_exception", call: callRaise},
	"strftime_now":    &function{name: "strftime_now", call: callStrftime},
	"joiner":          &function{name: "joiner", call: callJoiner},
	"cycler":          &function{name: "cycler", call: callCycler},
	"lipsum": &function{name: "lipsum", call: func(*machine, *args) (Value, error) {
		return nil, unsupported("function lipsum is not supported: it is random")
	}},
}

func callRange(m *machine, a *args) (Value, error) {
	p, err := a.positional("range", 1, 3)
	if err != nil {
		return nil, err
	}
	n := [3]int64{0, 0, 1}
	for i, v := range p {
		if v == absent {
			continue
		}
		if n[i], err = needInt(v); err != nil {
			return nil, err
		}
	}
	start, stop, step := n[0], n[1], n[2]
	if p[1] == absent {
		start, stop = 0, n[0]
	}
	if step == 0 {
		return nil, valueErr("range() arg 3 must not be zero")
	}
	const far = 1 << 61
	if start < -far || start > far || stop < -far || stop > far || step < -far || step > far {
		return nil, &LimitError{What: "range", Limit: int64(m.limits.Range)}
	}
	count := int64(0)
	if step > 0 && stop > start {
		count = (stop - start + step - 1) / step
	} else if step < 0 && stop < start {
		count = (start - stop - step - 1) / -step
	}
	if count > int64(m.limits.Range) {
		return nil, failf("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", m.limits.Range)
	}
	return &rangeValue{start: start, stop: stop, step: step, n: count}, nil
}

// callDict is dict(mapping or pairs, **kwargs).
func callDict(m *machine, a *args) (Value, error) {
	d := NewDict()
	if len(a.pos) > 1 {
		return nil, typeErr("dict expected at most 1 argument, got %d", len(a.pos))
	}
	if len(a.pos) == 1 {
		if from, ok := a.pos[0].(*Dict); ok {
			var err error
			if d, err = from.clone(m); err != nil {
				return nil, err
			}
		} else if err := fillPairs(m, d, a.pos[0]); err != nil {
			return nil, err
		}
	}
	for i, k := range a.kwNames {
		if err := d.setValue(m, k, a.kwVals[i]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func fillPairs(m *machine, d *Dict, pairs Value) error {
	next, err := m.iterate(pairs)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		v, ok, err := next()
		if err != nil || !ok {
			return err
		}
		pair, err := m.list(v)
		if err != nil {
			return typeErr("cannot convert dictionary update sequence element #%d to a sequence", i)
		}
		if len(pair) != 2 {
			return valueErr("dictionary update sequence element #%d has length %d; 2 is required", i, len(pair))
		}
		if err := d.setValue(m, pair[0], pair[1]); err != nil {
			return err
		}
	}
}

func callNamespace(m *machine, a *args) (Value, error) {
	d, err := callDict(m, a)
	if err != nil {
		return nil, err
	}
	return &namespace{attrs: d.(*Dict)}, nil
}

func callRaise(m *machine, a *args) (Value, error) {
	p, err := a.bind("raise_exception", 1, "message")
	if err != nil {
		return nil, err
	}
	msg, err := m.str(p[0])
	if err != nil {
		return nil, err
	}
	return nil, &Error{Class: "TemplateError", Msg: msg}
}

func callJoiner(m *machine, a *args) (Value, error) {
	p, err := a.bind("joiner", 0, "sep")
	if err != nil {
		return nil, err
	}
	sep := p[0]
	if sep == absent {
		sep = ", "
	}
	used := false
	return &function{name: "joiner", call: func(*machine, *args) (Value, error) {
		if !used {
			used = true
			return "", nil
		}
		return sep, nil
	}}, nil
}

// cycler is what cycler() makes.
type cycler struct {
	items []Value
	pos   int
}

func callCycler(_ *machine, a *args) (Value, error) {
	if len(a.pos) == 0 {
		return nil, failf("RuntimeError", "at least one item has to be provided")
	}
	return &cycler{items: a.pos}, nil
}

func (c *cycler) attr(name string) (Value, bool, error) {
	switch name {
	case "current":
		return c.items[c.pos], true, nil
	case "next":
		return &function{name: name, call: func(*machine, *args) (Value, error) {
			v := c.items[c.pos]
			c.pos = (c.pos + 1) % len(c.items)
			return v, nil
		}}, true, nil
	case "reset":
		return &function{name: name, call: func(*machine, *args) (Value, error) {
			c.pos = 0
			return nil, nil
		}}, true, nil
	}
	return nil, false, nil
}

func callStrftime(m *machine, a *args) (Value, error) {
	p, err := a.bind("strftime_now", 1, "format")
	if err != nil {
		return nil, err
	}
	f, err := needText(p[0])
	if err != nil {
		return nil, err
	}
	if err := m.grow(int64(8 * len(f))); err != nil {
		return nil, err
	}
	return strftime(m.now(), f), nil
}

// strftime knows C's directives that chat templates use; any other stays as it
// is written, as glibc leaves it.
func strftime(t time.Time, f string) string {
	layouts := map[byte]string{
		'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'I': "03", 'p': "PM",
		'b': "Jan", 'h': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'e': "_2", 'j': "002",
		'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04", 'f': "000000",
		'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05",
	}
	var b strings.Builder
	for i := 0; i < len(f); i++ {
		if f[i] != '%' || i+1 == len(f) {
			b.WriteByte(f[i])
			continue
		}
		i++
		c := f[i]
		plain := false
		if c == '-' && i+1 < len(f) {
			i++
			c = f[i]
			plain = true
		}
		switch layout := layouts[c]; {
		case c == '%':
			b.WriteByte('%')
		case c == 'n':
			b.WriteByte('\n')
		case c == 't':
			b.WriteByte('\t')
		case c == 'f':
			b.WriteString(t.Format(".000000")[1:])
		case c == 'Z' || c == 'z': // a naive datetime has no zone
		case c == 'w':
			b.WriteByte(byte('0' + int(t.Weekday())))
		case c == 'u':
			b.WriteByte(byte('1' + (int(t.Weekday())+6)%7))
		case layout == "":
			b.WriteByte('%')
			b.WriteByte(c)
		case plain:
			s := strings.TrimLeft(t.Format(layout), "0 ")
			if s == "" {
				s = "0"
			}
			b.WriteString(s)
		default:
			b.WriteString(t.Format(layout))
		}
	}
	return b.String()
}
