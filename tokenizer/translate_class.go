package tokenizer

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

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
		return nil, unsupported("a negated class without case")
	}
	var set runeSet
	for first := true; ; first = false {
		c := t.peek(0)
		switch {
		case c < 0:
			return nil, fmt.Errorf("a class is not closed")
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
			return nil, unsupported("a property in a class without case")
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
		return nil, unsupported("a wide range without case")
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
