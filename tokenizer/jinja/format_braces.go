package jinja

import (
	"strconv"
	"strings"
)

func formatMethod(m *machine, self Value, a *args) (Value, error) {
	s, _ := asString(self)
	named := NewDict()
	for i, k := range a.kwNames {
		if err := named.setValue(m, k, a.kwVals[i]); err != nil {
			return nil, err
		}
	}
	f := &braces{m: m, pos: a.pos, named: named, auto: 0}
	out, err := f.run(s, 2)
	return likeText(self, out), err
}

func formatMapMethod(m *machine, self Value, a *args) (Value, error) {
	p, err := a.positional("format_map", 1, 1)
	if err != nil {
		return nil, err
	}
	named, ok := p[0].(*Dict)
	if !ok {
		return nil, typeErr("format_map() argument must be a mapping, not %s", typeName(p[0]))
	}
	s, _ := asString(self)
	out, err := (&braces{m: m, named: named}).run(s, 2)
	return likeText(self, out), err
}

// braces is one run of str.format. Attributes in its fields go through the
// sandbox, as everywhere.
type braces struct {
	m     *machine
	pos   []Value
	named *Dict
	auto  int // next automatic number; -1: numbers are given
}

func (f *braces) run(s string, depth int) (string, error) {
	if depth < 0 {
		return "", valueErr("Max string recursion exceeded")
	}
	if err := f.m.grow(int64(len(s))); err != nil {
		return "", err
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		c := s[i]
		s = s[i+1:]
		if strings.HasPrefix(s, string(c)) {
			b.WriteByte(c)
			s = s[1:]
			continue
		}
		if c == '}' {
			return "", valueErr("Single '}' encountered in format string")
		}
		end, level := 0, 1
		for ; end < len(s); end++ {
			if s[end] == '{' {
				level++
			} else if s[end] == '}' {
				if level--; level == 0 {
					break
				}
			}
		}
		if end == len(s) {
			if s == "" {
				return "", valueErr("Single '{' encountered in format string")
			}
			return "", valueErr("expected '}' before end of string")
		}
		text, err := f.field(s[:end], depth)
		if err != nil {
			return "", err
		}
		if err := f.m.grow(int64(len(text))); err != nil {
			return "", err
		}
		b.WriteString(text)
		s = s[end+1:]
	}
	b.WriteString(s)
	return b.String(), nil
}

// field formats one {name!conversion:spec}.
func (f *braces) field(s string, depth int) (string, error) {
	name, format := s, ""
	if i := strings.IndexAny(s, ":!"); i >= 0 {
		name, s = s[:i], s[i:]
		conv := byte(0)
		if s[0] == '!' {
			if len(s) < 2 {
				return "", valueErr("end of string while looking for conversion specifier")
			}
			conv, s = s[1], s[2:]
			if s != "" && s[0] != ':' {
				return "", valueErr("expected ':' after conversion specifier")
			}
		}
		if s != "" {
			format = s[1:]
		}
		v, err := f.value(name)
		if err != nil {
			return "", err
		}
		switch conv {
		case 0:
		case 's':
			v, err = f.m.str(v)
		case 'r', 'a':
			v, err = f.m.repr(v)
		default:
			return "", valueErr("Unknown conversion specifier %c", conv)
		}
		if err != nil {
			return "", err
		}
		if format, err = f.run(format, depth-1); err != nil {
			return "", err
		}
		return f.m.formatValue(v, format)
	}
	v, err := f.value(name)
	if err != nil {
		return "", err
	}
	return f.m.formatValue(v, "")
}

// value finds what a field names: an argument, then .attributes and [items].
func (f *braces) value(path string) (Value, error) {
	head := path
	if i := strings.IndexAny(path, ".["); i >= 0 {
		head = path[:i]
	}
	rest := path[len(head):]
	v, err := f.argument(head)
	for err == nil && rest != "" {
		if rest[0] == '.' {
			rest = rest[1:]
			n := strings.IndexAny(rest, ".[")
			if n < 0 {
				n = len(rest)
			}
			v, err = f.m.getAttr(v, rest[:n])
			rest = rest[n:]
			continue
		}
		n := strings.IndexByte(rest, ']')
		if rest[0] != '[' || n < 0 {
			return nil, valueErr("Missing ']' in format string")
		}
		var key Value = rest[1:n]
		if k, e := strconv.ParseInt(rest[1:n], 10, 64); e == nil {
			key = k
		}
		v, err = f.m.getItem(v, key)
		rest = rest[n+1:]
	}
	return v, err
}

func (f *braces) argument(head string) (Value, error) {
	n := 0
	if head == "" {
		if f.auto < 0 {
			return nil, valueErr("cannot switch from manual field specification to automatic field numbering")
		}
		n = f.auto
		f.auto++
	} else {
		k, err := strconv.Atoi(head)
		if err != nil {
			v, ok := f.named.Get(head)
			if !ok {
				return nil, failf("KeyError", "%s", quoteRepr(clip(head)))
			}
			return v, nil
		}
		if f.auto > 0 {
			return nil, valueErr("cannot switch from automatic field numbering to manual field specification")
		}
		f.auto = -1
		n = k
	}
	if n < 0 || n >= len(f.pos) {
		return nil, failf("IndexError", "Replacement index %d out of range for positional args tuple", n)
	}
	return f.pos[n], nil
}
