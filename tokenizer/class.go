package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// runeSet is a set of characters as sorted ranges that do not touch.
type runeSet []runeRange

type runeRange struct{ lo, hi rune }

const lastRune = 0x10FFFF

// setOf collects the characters of a property.
func setOf(is func(rune) bool) runeSet {
	var set runeSet
	start := rune(-1)
	for r := rune(0); r <= lastRune+1; r++ {
		in := r <= lastRune && is(r)
		switch {
		case in && start < 0:
			start = r
		case !in && start >= 0:
			set = append(set, runeRange{start, r - 1})
			start = -1
		}
	}
	return set
}

// Sets are found by walking all of Unicode, so each is found once.
var (
	spaceSet    = sync.OnceValue(func() runeSet { return setOf(ucd.IsSpace) })
	wordSet     = sync.OnceValue(func() runeSet { return setOf(ucd.IsOnigWord) })
	categorySet = func() func(ucd.Set) runeSet {
		var cache sync.Map
		return func(category ucd.Set) runeSet {
			if set, ok := cache.Load(category); ok {
				return set.(runeSet)
			}
			set := setOf(func(r rune) bool { return ucd.In(r, category) })
			cache.Store(category, set)
			return set
		}
	}()
)

func union(sets ...runeSet) runeSet {
	all := slices.Concat(sets...)
	slices.SortFunc(all, func(a, b runeRange) int { return int(a.lo - b.lo) })
	var out runeSet
	for _, r := range all {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

func (s runeSet) complement() runeSet {
	var out runeSet
	next := rune(0)
	for _, r := range s {
		if next < r.lo {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= lastRune {
		out = append(out, runeRange{next, lastRune})
	}
	return out
}

// class writes the set as a character class of regexp2. Surrogates, which no
// text holds, are left out: they have no spelling.
func (s runeSet) class() string {
	var out strings.Builder
	out.WriteByte('[')
	for _, r := range s {
		for _, part := range [...]runeRange{{r.lo, min(r.hi, 0xD7FF)}, {max(r.lo, 0xE000), r.hi}} {
			if part.lo > part.hi {
				continue
			}
			classRune(&out, part.lo)
			if part.hi > part.lo {
				out.WriteByte('-')
				classRune(&out, part.hi)
			}
		}
	}
	if out.Len() == 1 {
		return "(?!)" // a class with nothing in it never matches
	}
	out.WriteByte(']')
	return out.String()
}

func classRune(out *strings.Builder, r rune) {
	if strings.ContainsRune(`\[]^-&~`, r) {
		out.WriteByte('\\')
	}
	out.WriteRune(r)
}

// escape reads a backslash and what follows: a set, or one character.
func (t *translator) escape() (set runeSet, literal rune, err error) {
	c := t.peek(1)
	negate := func(s runeSet, on bool) runeSet {
		if on {
			return s.complement()
		}
		return s
	}
	switch c {
	case 'p', 'P':
		set, err = t.category()
		return set, -1, err
	case 's', 'S':
		t.at += 2
		return negate(spaceSet(), c == 'S'), -1, nil
	case 'w', 'W':
		t.at += 2
		return negate(wordSet(), c == 'W'), -1, nil
	case 'd', 'D':
		t.at += 2
		return negate(categorySet(1<<ucd.Nd), c == 'D'), -1, nil
	case 'h', 'H':
		t.at += 2
		return negate(runeSet{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}, c == 'H'), -1, nil
	case 'x', 'u':
		literal, err = t.hex()
		return nil, literal, err
	}
	if i := strings.IndexRune("tnrfvae", c); c > 0 && i >= 0 {
		t.at += 2
		return nil, rune("\t\n\r\f\v\a\x1b"[i]), nil
	}
	if c < 0 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return nil, -1, unsupported(`escape \%c`, max(c, ' '))
	}
	t.at += 2
	return nil, c, nil
}

// hex reads \xHH, \x{H…} or \uHHHH. Bytes of \x above 7F make up characters in
// Oniguruma and are refused.
func (t *translator) hex() (rune, error) {
	kind := t.peek(1)
	digits, size := "", 0
	if kind == 'x' && t.peek(2) == '{' {
		end := t.at + 3
		for end < len(t.in) && t.in[end] != '}' {
			end++
		}
		if end == len(t.in) {
			return -1, fmt.Errorf(`\x{ is not closed`)
		}
		digits, size = string(t.in[t.at+3:end]), end+1-t.at
	} else {
		n := 2
		if kind == 'u' {
			n = 4
		}
		if t.at+2+n > len(t.in) {
			return -1, unsupported(`a short \%c`, kind)
		}
		digits, size = string(t.in[t.at+2:t.at+2+n]), 2+n
	}
	v, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || v > lastRune || 0xD800 <= v && v <= 0xDFFF {
		return -1, unsupported(`escape \%c%s`, kind, digits)
	}
	if kind == 'x' && size == 4 && t.peek(2) != '{' && v > 0x7F {
		return -1, unsupported(`escape \x%s, a byte of a character`, digits)
	}
	t.at += size
	return rune(v), nil
}

// bracket reads a character class. Classes in classes, intersections and
// POSIX names are refused.
func (t *translator) bracket() (runeSet, error) {
	t.at++
	negate := t.peek(0) == '^'
	if negate {
		t.at++
	}
	fold := t.fold[len(t.fold)-1]
	if fold && negate {
		return nil, unsupported("a negated class in case-insensitive matching")
	}
	var set runeSet
	for first := true; ; first = false {
		c := t.peek(0)
		switch {
		case c < 0:
			return nil, fmt.Errorf("a character class is not closed")
		case c == ']' && !first:
			t.at++
			set = union(set)
			if negate {
				set = set.complement()
			}
			return set, nil
		case c == ']' || c == '[' || c == '&' && t.peek(1) == '&':
			return nil, unsupported("%q inside a class", string(c))
		}
		part, err := t.member(fold)
		if err != nil {
			return nil, err
		}
		set = append(set, part...)
	}
}

// member reads a set, a character or a range of a class.
func (t *translator) member(fold bool) (runeSet, error) {
	low, set, err := t.item()
	if err != nil {
		return nil, err
	}
	if low < 0 {
		if fold {
			return nil, unsupported("a property in a class in case-insensitive matching")
		}
		return set, nil
	}
	high := low
	if t.peek(0) == '-' && t.peek(1) != ']' && t.peek(1) >= 0 {
		t.at++
		if high, _, err = t.item(); err != nil {
			return nil, err
		}
		if high < low {
			return nil, unsupported("a range in a class that ends before it starts")
		}
	}
	if !fold {
		return runeSet{{low, high}}, nil
	}
	if high-low > 128 {
		return nil, unsupported("a wide range in case-insensitive matching")
	}
	var out runeSet
	for r := low; r <= high; r++ {
		forms, err := foldRune(r)
		if err != nil {
			return nil, err
		}
		out = append(out, forms...)
	}
	return out, nil
}

// item reads one character, or a set with literal < 0.
func (t *translator) item() (literal rune, set runeSet, err error) {
	c := t.peek(0)
	if c != '\\' {
		if c == '[' {
			return -1, nil, unsupported("%q inside a class", "[")
		}
		t.at++
		return c, nil, nil
	}
	if t.peek(1) == 'b' {
		t.at += 2
		return '\b', nil, nil
	}
	set, literal, err = t.escape()
	return literal, set, err
}
