package tokenizer

import (
	"bytes"
	"unicode/utf8"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// decodeRune is utf8.DecodeRune with the ASCII case inlined.
func decodeRune(b []byte) (rune, int) {
	if b[0] < utf8.RuneSelf {
		return rune(b[0]), 1
	}
	return utf8.DecodeRune(b)
}

func (s literalMatcher) next(text []byte, from int) (int, int, error) {
	i := bytes.Index(text[from:], []byte(s))
	if i < 0 {
		return -1, -1, nil
	}
	return from + i, from + i + len(s), nil
}

// twoSpaces is the pattern " {2,}".
type twoSpaces struct{}

func (twoSpaces) next(text []byte, from int) (int, int, error) {
	i := bytes.Index(text[from:], []byte("  "))
	if i < 0 {
		return -1, -1, nil
	}
	start := from + i
	end := start + 2
	for end < len(text) && text[end] == ' ' {
		end++
	}
	return start, end, nil
}

// Character classes of the split patterns.
func isLetter(r rune) bool { return ucd.In(r, ucd.L) }
func isNumber(r rune) bool { return ucd.In(r, ucd.N) }

// asciiClass sorts ASCII for the scanners.
const (
	classOther = iota // [^\s\p{L}\p{N}]
	classLetter
	classNumber
	classSpace
)

var asciiClass = func() (t [utf8.RuneSelf]uint8) {
	for r := range rune(utf8.RuneSelf) {
		t[r] = classify(r)
	}
	return t
}()

func classify(r rune) uint8 {
	switch {
	case ucd.IsSpace(r):
		return classSpace
	case isLetter(r):
		return classLetter
	case isNumber(r):
		return classNumber
	}
	return classOther
}

// classAt is the class and length of the character at the start of b.
func classAt(b []byte) (uint8, int) {
	if c := b[0]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, n := utf8.DecodeRune(b)
	return classify(r), n
}

// skip is where the run of characters of a class ends that starts at i.
func skip(b []byte, i int, class uint8) int {
	for i < len(b) {
		c, n := classAt(b[i:])
		if c != class {
			break
		}
		i += n
	}
	return i
}

// spaces scans \s*[\r\n]+|\s+(?!\S)|\s+ (without the first part where lines is
// false) over the run of spaces at i.
func spaces(b []byte, i int, lines bool) int {
	end, last, newline := i, i, -1
	for end < len(b) {
		c, n := classAt(b[end:])
		if c != classSpace {
			break
		}
		if b[end] == '\n' || b[end] == '\r' {
			newline = end
		}
		last = end
		end += n
	}
	switch {
	case lines && newline >= 0:
		return newline + 1
	case end == len(b) || last == i:
		return end
	}
	return last // the last space belongs to the word behind it
}

// contraction is the length of 's|'t|'re|'ve|'m|'ll|'d at the start of b, or
// 0. Without case, ſ (U+017F) is an s.
func contraction(b []byte, fold bool) int {
	if len(b) < 2 || b[0] != '\'' {
		return 0
	}
	lower := func(i int) byte {
		if i >= len(b) {
			return 0
		}
		if c := b[i]; fold && 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return b[i]
	}
	switch c, d := lower(1), lower(2); {
	case c == 's' || c == 't' || c == 'm' || c == 'd':
		return 2
	case c == 'r' && d == 'e', c == 'v' && d == 'e', c == 'l' && d == 'l':
		return 3
	case fold && c == 0xC5 && d == 0xBF:
		return 3
	}
	return 0
}

// gpt2 is the pattern
// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
type gpt2 struct{}

func (gpt2) next(b []byte, i int) (int, int, error) {
	if b[i] == '\'' {
		if n := contraction(b[i:], false); n > 0 {
			return i, i + n, nil
		}
	}
	at := i
	if b[i] == ' ' && i+1 < len(b) {
		at++
	}
	class, n := classAt(b[at:])
	if class == classSpace {
		return i, spaces(b, i, false), nil
	}
	return i, skip(b, at+n, class), nil
}

// cl100k is the pattern
// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,k}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
type cl100k struct {
	digits int // k, 0 for +
}

func (p cl100k) next(b []byte, i int) (int, int, error) {
	if b[i] == '\'' {
		if n := contraction(b[i:], true); n > 0 {
			return i, i + n, nil
		}
	}
	class, n := classAt(b[i:])
	switch class {
	case classLetter:
		return i, skip(b, i+n, classLetter), nil
	case classNumber:
		return i, p.number(b, i), nil
	}
	at := i + n
	if at < len(b) && b[i] != '\r' && b[i] != '\n' {
		if c, m := classAt(b[at:]); c == classLetter {
			return i, skip(b, at+m, classLetter), nil
		} else if c == classOther && b[i] == ' ' {
			return i, newlines(b, skip(b, at+m, classOther)), nil
		}
	}
	if class == classOther {
		return i, newlines(b, skip(b, at, classOther)), nil
	}
	return i, spaces(b, i, true), nil
}

func (p cl100k) number(b []byte, i int) int { return numbers(b, i, p.digits) }

// numbers scans up to k numbers, any count where k is 0.
func numbers(b []byte, i, k int) int {
	for n := 0; i < len(b) && (k == 0 || n < k); n++ {
		c, size := classAt(b[i:])
		if c != classNumber {
			break
		}
		i += size
	}
	return i
}

func newlines(b []byte, i int) int {
	for i < len(b) && (b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}
