package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// addTextMethods fills the table of str's methods. Each is charged for the text it reads and for the text it makes.
func addTextMethods(t table) {
	t.add("upper", "", mapped(upperText))
	t.add("lower", "", mapped(lowerText))
	t.add("title", "", mapped(titleText))
	t.add("capitalize", "", mapped(capitalText))
	t.add("strip", "chars?", trimmed(strings.TrimFunc))
	t.add("lstrip", "chars?", trimmed(strings.TrimLeftFunc))
	t.add("rstrip", "chars?", trimmed(strings.TrimRightFunc))
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
func trimmed(trim func(s string, drop func(rune) bool) string) func(*render, Value, []Value) Value {
	return func(r *render, x Value, a []Value) Value {
		s, drop := r.str(x), isSpace
		r.work(len(s))
		if a[0] != absent && a[0] != nil {
			chars := text(a[0])
			r.work(len(s) / 16 * len(chars))
			drop = func(c rune) bool { return strings.ContainsRune(chars, c) }
		}
		return like(x, trim(s, drop))
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
	s, most := x.(string), intArg(given(a[1], int64(-1)))
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
	default:
		refuseIf(most >= 0, "str.split at whitespace with maxsplit")
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

// Python maps case by Unicode's full tables ("ß" to "SS", a sigma that ends a word to "ς"), Go's strings package by the
// simple ones. A Caser keeps state, so each text has its own.

func upperText(s string) string { return cases.Upper(language.Und).String(s) }
func lowerText(s string) string { return cases.Lower(language.Und).String(s) }

// capitalText is Python's str.capitalize.
func capitalText(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return cases.Title(language.Und, cases.NoLower).String(s[:size]) + lowerText(s[size:])
}

// titleText is Python's str.title: every run of cased letters is capitalized.
func titleText(s string) string {
	cased := func(c rune) bool {
		return unicode.In(c, unicode.Upper, unicode.Lower, unicode.Title, unicode.Other_Lowercase, unicode.Other_Uppercase)
	}
	return mapRuns(s, cased, capitalText)
}

// titleFilter is Jinja's: it raises the first letter after a space, hyphen or opening bracket.
func titleFilter(s string) string {
	inside := func(c rune) bool { return !isSpace(c) && !strings.ContainsRune("-({[<", c) }
	return mapRuns(s, inside, func(word string) string {
		_, size := utf8.DecodeRuneInString(word)
		return upperText(word[:size]) + lowerText(word[size:])
	})
}

// mapRuns maps every longest run of characters that are in, and leaves the rest.
func mapRuns(s string, in func(rune) bool, f func(string) string) string {
	var b strings.Builder
	for s != "" {
		first, _ := utf8.DecodeRuneInString(s)
		end := strings.IndexFunc(s, func(c rune) bool { return in(c) != in(first) })
		if end < 0 {
			end = len(s)
		}
		if in(first) {
			b.WriteString(f(s[:end]))
		} else {
			b.WriteString(s[:end])
		}
		s = s[end:]
	}
	return b.String()
}

// isSpace is Python's str.isspace for one character, which regular expressions and strip() use too.
func isSpace(c rune) bool { return unicode.IsSpace(c) || (c >= 0x1c && c <= 0x1f) }
