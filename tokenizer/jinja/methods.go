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
	t.add("find", "sub start? end? /", func(r *render, x Value, a []Value) Value {
		if a[1] != absent {
			panic(unsupported("str.find with a start"))
		}
		s := x.(string)
		r.work(4 * len(s))
		at := strings.Index(s, textArg(a[0], ""))
		return int64(utf8.RuneCountInString(s[:max(at, 0)]) + min(at, 0)) // in code points, or -1
	})
	t.add("split", "sep? maxsplit?", split)
	t.add("splitlines", "", func(r *render, x Value, _ []Value) Value {
		r.grow(int64(16 * len(x.(string))))
		return r.texts(splitLines(x.(string)))
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

func (r *render) texts(parts []string) Value {
	r.grow(int64(32*len(parts) + 24))
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = p
	}
	return &List{Items: items}
}

// split is str.split, at whitespace where no separator is given.
func split(r *render, x Value, a []Value) Value {
	s := x.(string)
	most := int(max(-1, min(intArg(a[1], -1), int64(len(s)))))
	if a[0] == absent || a[0] == nil {
		if most >= 0 {
			panic(unsupported("str.split at whitespace with maxsplit"))
		}
		r.grow(int64(8 * len(s)))
		return r.texts(strings.FieldsFunc(s, isSpace))
	}
	sep := textArg(a[0], "")
	if sep == "" {
		panic(valueErr("empty separator"))
	}
	r.work(len(s))
	r.grow(int64(16 * (strings.Count(s, sep) + 1))) // what the parts cost, before they are made
	if most < 0 {
		return r.texts(strings.Split(s, sep))
	}
	return r.texts(strings.SplitN(s, sep, most+1))
}

// splitLines is str.splitlines.
func splitLines(s string) []string {
	out := []string{}
	for s != "" {
		i := strings.IndexAny(s, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if i < 0 {
			return append(out, s)
		}
		out = append(out, s[:i])
		_, size := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			size = 2
		}
		s = s[i+size:]
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
