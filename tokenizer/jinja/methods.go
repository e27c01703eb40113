package jinja

import "strings"

// addTextMethods fills the table of str's methods. Each is charged for the text it reads and for the text it makes.
func addTextMethods(t table) {
	t.add("upper", "", mapped(upperText))
	t.add("lower", "", mapped(lowerText))
	t.add("title", "", mapped(titleText))
	t.add("capitalize", "", mapped(capitalText))
	t.add("strip", "chars?", trimmed(true, true))
	t.add("lstrip", "chars?", trimmed(true, false))
	t.add("rstrip", "chars?", trimmed(false, true))
	t.add("startswith", "prefix start! end!", affix(strings.HasPrefix))
	t.add("endswith", "suffix start! end!", affix(strings.HasSuffix))
	t.add("split", "sep? maxsplit?", split)
	t.add("replace", "old new count!", func(r *render, x Value, a []Value) Value {
		return r.replace(x.(string), text(a[0]), text(a[1]))
	})
	t.add("join", "iterable", func(r *render, x Value, a []Value) Value {
		require(iterable(a[0]), "TypeError", "can only join an iterable")
		return r.joined(x.(string), r.items(a[0]), func(v Value) string { return text(v) })
	})
}

// mapped maps a text, charged before it is mapped.
func mapped(f func(string) string) func(*render, Value, []Value) Value {
	return func(r *render, x Value, _ []Value) Value {
		s := r.str(x)
		r.slowWork(len(s))
		r.grow(int64(2 * len(s)))
		return like(x, f(s))
	}
}

// trimmed takes whitespace, or the characters that are given, off the sides of a text.
func trimmed(left, right bool) func(*render, Value, []Value) Value {
	return func(r *render, x Value, a []Value) Value {
		s, drop := r.str(x), isSpace
		r.work(len(s))
		if a[0] != absent && a[0] != nil {
			chars := text(a[0])
			r.work(len(s) / 16 * len(chars))
			drop = func(c rune) bool { return strings.ContainsRune(chars, c) }
		}
		if left {
			s = strings.TrimLeftFunc(s, drop)
		}
		if right {
			s = strings.TrimRightFunc(s, drop)
		}
		return like(x, s)
	}
}

// affix tests how a str begins or ends.
func affix(has func(s, affix string) bool) func(*render, Value, []Value) Value {
	return func(r *render, x Value, a []Value) Value {
		refuseIf(isKind(a[0], tuple), "a tuple of what a str begins or ends with")
		return has(x.(string), text(a[0]))
	}
}

// split is str.split, at whitespace where no separator is given.
func split(r *render, x Value, a []Value) Value {
	s, most := x.(string), intArg(a[1], -1)
	var parts []string
	switch {
	case a[0] != absent && a[0] != nil:
		sep := text(a[0])
		require(sep != "", "ValueError", "empty separator")
		r.work(len(s))
		r.grow(int64(16 * (strings.Count(s, sep) + 1))) // what the parts cost, before they are made
		if parts = strings.Split(s, sep); most >= 0 && most < int64(len(parts)) {
			parts = strings.SplitN(s, sep, int(most)+1)
		}
	case most >= 0:
		panic(unsupported("str.split at whitespace with maxsplit"))
	default:
		r.grow(int64(8 * len(s)))
		parts = strings.FieldsFunc(s, isSpace)
	}
	r.grow(int64(32*len(parts) + 24))
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = p
	}
	return &List{Items: items}
}

// replace replaces every occurrence of a text.
func (r *render) replace(s, old, repl string) Value {
	r.work(len(s))
	r.growTimes(len(repl)+1, int64(strings.Count(s, old)))
	r.grow(int64(len(s)))
	return strings.ReplaceAll(s, old, repl)
}

// joined is the texts of the items with sep between them.
func (r *render) joined(sep string, items []Value, text func(Value) string) Value {
	var b strings.Builder
	for i, v := range items {
		if i > 0 {
			b.WriteString(sep)
		}
		s := text(v)
		r.grow(int64(len(s) + len(sep)))
		b.WriteString(s)
	}
	return b.String()
}

func addDictMethods(t table) {
	view := func(k kind, part func(e entry) Value) func(*render, Value, []Value) Value {
		return func(r *render, x Value, _ []Value) Value { return &List{Items: r.parts(x.(*Dict), part), kind: k} }
	}
	t.add("keys", "", view(keysView, keyOf))
	t.add("values", "", view(valuesView, func(e entry) Value { return e.val }))
	t.add("items", "", view(itemsView, pairOf))
	t.add("get", "key default?", func(r *render, x Value, a []Value) Value {
		v, ok := x.(*Dict).find(r.key(a[0]))
		if !ok && a[1] != absent {
			return a[1]
		}
		return v
	})
}

func keyOf(e entry) Value  { return e.key }
func pairOf(e entry) Value { return &List{Items: []Value{e.key, e.val}, kind: tuple} }

// parts are the keys, the values or the items of a dict.
func (r *render) parts(d *Dict, part func(e entry) Value) []Value {
	r.grow(int64(80 * d.Len()))
	out := make([]Value, d.Len())
	for i, e := range d.entries {
		out[i] = part(e)
	}
	return out
}
