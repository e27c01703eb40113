package jinja

import (
	"strings"
	"unicode/utf8"
)

// addTextMethods fills the table of str's methods. Each is charged for the text it reads and for the text it makes.
func addTextMethods(t table) {
	for name, f := range map[string]func(string) string{
		"upper": upperText, "lower": lowerText, "title": titleText, "capitalize": capitalText,
	} {
		t.add(name, "/", func(r *render, x Value, _ []Value) Value { return r.mapped(x.(string), f) })
	}
	for name, side := range map[string]struct{ left, right bool }{
		"strip": {true, true}, "lstrip": {left: true}, "rstrip": {right: true},
	} {
		t.add(name, "chars? /", func(r *render, x Value, a []Value) Value {
			return r.trim(x.(string), a[0], side.left, side.right)
		})
	}
	t.add("startswith", "prefix start? end? /", affix("startswith", strings.HasPrefix))
	t.add("endswith", "suffix start? end? /", affix("endswith", strings.HasSuffix))
	t.add("removeprefix", "prefix /", func(_ *render, x Value, a []Value) Value {
		return strings.TrimPrefix(x.(string), textArg(a[0], ""))
	})
	t.add("removesuffix", "suffix /", func(_ *render, x Value, a []Value) Value {
		return strings.TrimSuffix(x.(string), textArg(a[0], ""))
	})
	t.add("find", "sub /", find(strings.Index))
	t.add("rfind", "sub /", find(strings.LastIndex))
	t.add("count", "sub /", func(r *render, x Value, a []Value) Value {
		r.work(len(x.(string)))
		return int64(strings.Count(x.(string), textArg(a[0], "")))
	})
	t.add("split", "sep? maxsplit?", split(false))
	t.add("rsplit", "sep? maxsplit?", split(true))
	t.add("splitlines", "keepends?", func(r *render, x Value, a []Value) Value {
		r.grow(int64(16 * len(x.(string))))
		return r.texts(splitLines(x.(string), isSet(a[0])))
	})
	t.add("replace", "old new count? /", func(r *render, x Value, a []Value) Value {
		return r.replace(x.(string), textArg(a[0], ""), textArg(a[1], ""), intArg(a[2], -1))
	})
	t.add("join", "iterable /", joinTexts)
}

// affix tests how a str begins or ends: with a text, or with any of a tuple's.
func affix(name string, has func(s, affix string) bool) func(*render, Value, []Value) Value {
	return func(r *render, x Value, a []Value) Value {
		if a[1] != absent || a[2] != absent {
			panic(unsupported("str.%s with a start or an end", name))
		}
		one := []Value{a[0]}
		if isKind(a[0], tuple) {
			one = a[0].(*List).Items
		}
		for _, v := range one {
			s, ok := asString(v)
			if !ok {
				panic(typeErr("%s first arg must be str or a tuple of str, not %s", name, typeName(v)))
			}
			r.step(1 + len(s)/64)
			if has(x.(string), s) {
				return true
			}
		}
		return false
	}
}

// find gives a text's place in code points, -1 if it is not there.
func find(index func(s, sub string) int) func(*render, Value, []Value) Value {
	return func(r *render, x Value, a []Value) Value {
		s := x.(string)
		r.work(4 * len(s))
		at := index(s, textArg(a[0], ""))
		if at < 0 {
			return int64(-1)
		}
		return int64(utf8.RuneCountInString(s[:at]))
	}
}

func (r *render) texts(parts []string) Value {
	r.grow(int64(32*len(parts) + 24))
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = p
	}
	return &List{Items: items}
}

// split is str.split, or str.rsplit where right.
func split(right bool) func(*render, Value, []Value) Value {
	return func(r *render, x Value, a []Value) Value {
		s := x.(string)
		r.work(len(s))
		most := int(max(-1, min(intArg(a[1], -1), int64(len(s)))))
		if a[0] == absent || a[0] == nil {
			r.grow(int64(8 * len(s)))
			return r.texts(splitSpace(s, most, right))
		}
		sep := textArg(a[0], "")
		if sep == "" {
			panic(valueErr("empty separator"))
		}
		r.grow(int64(16 * (strings.Count(s, sep) + 1))) // what the parts cost, before they are made
		if !right {
			return r.texts(strings.SplitN(s, sep, most+1-b2i(most < 0)))
		}
		parts := strings.Split(s, sep)
		if cut := len(parts) - 1 - most; most >= 0 && cut > 0 {
			parts = append([]string{strings.Join(parts[:cut+1], sep)}, parts[cut+1:]...)
		}
		return r.texts(parts)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// splitSpace splits at runs of whitespace at most so many times (-1: everywhere), and keeps none at the ends.
func splitSpace(s string, most int, right bool) []string {
	fields := strings.FieldsFunc(s, isSpace)
	if most < 0 || len(fields) <= most+1 {
		return fields
	}
	if right {
		s = strings.TrimRightFunc(s, isSpace)
		for range most {
			at := strings.LastIndexFunc(s, isSpace)
			s = strings.TrimRightFunc(s[:at], isSpace)
		}
		return append([]string{s}, fields[len(fields)-most:]...)
	}
	s = strings.TrimLeftFunc(s, isSpace)
	for range most {
		at := strings.IndexFunc(s, isSpace)
		s = strings.TrimLeftFunc(s[at:], isSpace)
	}
	return append(fields[:most:most], s)
}

// splitLines is str.splitlines.
func splitLines(s string, keep bool) []string {
	out := []string{}
	start := 0
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		end := i
		i += size
		if !strings.ContainsRune("\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029", c) {
			continue
		}
		if c == '\r' && strings.HasPrefix(s[i:], "\n") {
			i++
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

// joinTexts is str.join, which unlike the filter takes only strs.
func joinTexts(r *render, x Value, a []Value) Value {
	if !iterable(a[0]) {
		panic(typeErr("can only join an iterable"))
	}
	sep := x.(string)
	var b strings.Builder
	for i, v := range r.items(a[0]) {
		s, ok := asString(v)
		if !ok {
			panic(typeErr("sequence item %d: expected str instance, %s found", i, typeName(v)))
		}
		r.grow(int64(len(s) + len(sep)))
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(s)
	}
	return b.String()
}
