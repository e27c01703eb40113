package jinja

import (
	"strings"
	"unicode/utf8"
)

func (m *machine) textList(self Value, parts []string) (Value, error) {
	if err := m.grow(int64(32*len(parts) + 24)); err != nil {
		return nil, err
	}
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = likeText(self, p)
	}
	return &List{Items: items}, nil
}

func splitMethod(name string, right bool) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		p, err := a.bind(name, 0, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		s, err := selfText(m, self)
		if err != nil {
			return nil, err
		}
		most := int64(-1)
		if p[1] != absent {
			if most, err = needInt(p[1]); err != nil {
				return nil, err
			}
		}
		sep, given, err := "", p[0] != absent && p[0] != nil, error(nil)
		if given {
			if sep, err = needText(p[0]); err != nil {
				return nil, err
			}
			if sep == "" {
				return nil, valueErr("empty separator")
			}
			// What the parts will cost, before they are made.
			if err := m.grow(int64(16 * (strings.Count(s, sep) + 1))); err != nil {
				return nil, err
			}
			return m.textList(self, splitSep(s, sep, most, right))
		}
		if err := m.grow(int64(8 * len(s))); err != nil {
			return nil, err
		}
		return m.textList(self, splitSpace(s, most, right))
	}
}

func splitSep(s, sep string, most int64, right bool) []string {
	if !right {
		if most < 0 || most > int64(len(s)) {
			return strings.Split(s, sep)
		}
		return strings.SplitN(s, sep, int(most)+1)
	}
	var out []string
	for most != 0 {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		out = append(out, s[i+len(sep):])
		s = s[:i]
		most--
	}
	return reversed(append(out, s))
}

// splitSpace splits at runs of whitespace, none kept at the ends.
func splitSpace(s string, most int64, right bool) []string {
	out := []string{}
	if right {
		for {
			s = strings.TrimRightFunc(s, isSpace)
			if s == "" {
				return reversed(out)
			}
			i := strings.LastIndexFunc(s, isSpace)
			if i < 0 || most == 0 {
				return reversed(append(out, s))
			}
			_, size := utf8.DecodeRuneInString(s[i:])
			out = append(out, s[i+size:])
			s = s[:i]
			most--
		}
	}
	for {
		s = strings.TrimLeftFunc(s, isSpace)
		if s == "" {
			return out
		}
		i := strings.IndexFunc(s, isSpace)
		if i < 0 || most == 0 {
			return append(out, s)
		}
		out = append(out, s[:i])
		s = s[i:]
		most--
	}
}

func reversed(list []string) []string {
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// pyLines is str.splitlines.
func pyLines(s string, keep bool) []string {
	out := []string{}
	start := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		end := i
		i += size
		switch r {
		case '\r':
			if i < len(s) && s[i] == '\n' {
				i++
			}
		case '\n', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		default:
			continue
		}
		if keep {
			end = i
		}
		out = append(out, s[start:end])
		start = i
	}
	if start < len(s) {
		out = append(out, s[start:])
	}
	return out
}

func splitlines(m *machine, self Value, a *args) (Value, error) {
	p, err := a.bind("splitlines", 0, "keepends")
	if err != nil {
		return nil, err
	}
	s, err := selfText(m, self)
	if err != nil {
		return nil, err
	}
	if err := m.grow(int64(16 * strings.Count(s, "\n"))); err != nil {
		return nil, err
	}
	return m.textList(self, pyLines(s, p[0] != absent && truth(p[0])))
}

func partitionMethod(right bool) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		p, err := a.positional("partition", 1, 1)
		if err != nil {
			return nil, err
		}
		sep, err := needText(p[0])
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, valueErr("empty separator")
		}
		s, err := selfText(m, self)
		if err != nil {
			return nil, err
		}
		parts := [3]string{s, "", ""}
		i := strings.Index(s, sep)
		if right {
			parts = [3]string{"", "", s}
			i = strings.LastIndex(s, sep)
		}
		if i >= 0 {
			parts = [3]string{s[:i], sep, s[i+len(sep):]}
		}
		t := &Tuple{}
		for _, part := range parts {
			t.Items = append(t.Items, likeText(self, part))
		}
		return t, nil
	}
}

func replaceMethod(m *machine, self Value, a *args) (Value, error) {
	p, err := a.positional("replace", 2, 3)
	if err != nil {
		return nil, err
	}
	old, err := needText(p[0])
	if err != nil {
		return nil, err
	}
	repl, err := needText(p[1])
	if err != nil {
		return nil, err
	}
	n := int64(-1)
	if p[2] != absent {
		if n, err = needInt(p[2]); err != nil {
			return nil, err
		}
	}
	s, _ := asString(self)
	return m.replace(self, s, old, repl, n)
}

func (m *machine) replace(self Value, s, old, repl string, n int64) (Value, error) {
	if err := m.work(len(s)); err != nil {
		return nil, err
	}
	count := int64(strings.Count(s, old))
	if n >= 0 {
		count = min(count, n)
	}
	if count == 0 {
		return likeText(self, s), nil
	}
	if err := m.growTimes(len(repl)+1, count); err != nil {
		return nil, err
	}
	if err := m.grow(int64(len(s))); err != nil {
		return nil, err
	}
	return likeText(self, strings.Replace(s, old, repl, int(count))), nil
}

func joinMethod(m *machine, self Value, a *args) (Value, error) {
	p, err := a.positional("join", 1, 1)
	if err != nil {
		return nil, err
	}
	next, err := m.iterate(p[0])
	if err != nil {
		return nil, typeErr("can only join an iterable")
	}
	sep, _ := asString(self)
	var b strings.Builder
	for i := 0; ; i++ {
		v, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return likeText(self, b.String()), nil
		}
		s, isText := asString(v)
		if !isText {
			return nil, typeErr("sequence item %d: expected str instance, %s found", i, typeName(v))
		}
		if err := m.grow(int64(len(s) + len(sep))); err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(s)
	}
}

func countMethod(m *machine, self Value, a *args) (Value, error) {
	p, err := a.positional("count", 1, 3)
	if err != nil {
		return nil, err
	}
	sub, err := needText(p[0])
	if err != nil {
		return nil, err
	}
	s, err := selfWindow(m, self, p[1], p[2])
	if err != nil {
		return nil, err
	}
	return int64(strings.Count(s, sub)), m.work(len(s))
}
