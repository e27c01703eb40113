package jinja

import (
	"strings"
	"unicode"
)

// Python maps case by the full Unicode tables; Go by the simple ones. Where
// they differ the full mapping is here (Unicode SpecialCasing, the common part).
var fullUpper = map[rune]string{
	'ß': "SS", 'ŉ': "ʼN", 'ǰ': "J̌", 'ΐ': "Ϊ́", 'ΰ': "Ϋ́", 'և': "ԵՒ", 'ẖ': "H̱", 'ẗ': "T̈", 'ẘ': "W̊", 'ẙ': "Y̊", 'ẚ': "Aʾ",
	'ﬀ': "FF", 'ﬁ': "FI", 'ﬂ': "FL", 'ﬃ': "FFI", 'ﬄ': "FFL", 'ﬅ': "ST", 'ﬆ': "ST",
}

var fullTitle = map[rune]string{
	'ß': "Ss", 'ŉ': "ʼN", 'և': "Եւ", 'ﬀ': "Ff", 'ﬁ': "Fi", 'ﬂ': "Fl", 'ﬃ': "Ffi", 'ﬄ': "Ffl", 'ﬅ': "St", 'ﬆ': "St",
}

func upperRune(r rune) string {
	if r >= 0x80 {
		if s, ok := fullUpper[r]; ok {
			return s
		}
	}
	return string(unicode.ToUpper(r))
}

func titleRune(r rune) string {
	if r >= 0x80 {
		if s, ok := fullTitle[r]; ok {
			return s
		}
		if s, ok := fullUpper[r]; ok {
			return s
		}
	}
	return string(unicode.ToTitle(r))
}

// lowerAt lowers the rune at byte i of s; a sigma that ends a word is final.
func lowerAt(s string, i int, r rune) string {
	switch r {
	case 'İ':
		return "i̇"
	case 'Σ':
		before := strings.TrimRightFunc(s[:i], caseIgnorable)
		after := strings.TrimLeftFunc(s[i+len("Σ"):], caseIgnorable)
		if endsCased(before) && !startsCased(after) {
			return "ς"
		}
	}
	return string(unicode.ToLower(r))
}

func caseIgnorable(r rune) bool {
	return r == '\'' || r == '.' || r == ':' || r == '^' || r == '`' || r == '·' || r == '’' || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}

func cased(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) || unicode.Is(unicode.Other_Lowercase, r) || unicode.Is(unicode.Other_Uppercase, r)
}

func endsCased(s string) bool {
	r := []rune(s[max(0, len(s)-8):])
	return len(r) > 0 && cased(r[len(r)-1])
}

func startsCased(s string) bool {
	for _, r := range s {
		return cased(r)
	}
	return false
}

func pyUpper(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		b.WriteString(upperRune(r))
	}
	return b.String()
}

func pyLower(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		b.WriteString(lowerAt(s, i, r))
	}
	return b.String()
}

// pyTitle raises each letter that follows no cased letter.
func pyTitle(s string) string {
	var b strings.Builder
	inWord := false
	for i, r := range s {
		if inWord {
			b.WriteString(lowerAt(s, i, r))
		} else {
			b.WriteString(titleRune(r))
		}
		inWord = cased(r)
	}
	return b.String()
}

func pyCapitalize(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i == 0 {
			b.WriteString(titleRune(r))
			continue
		}
		b.WriteString(lowerAt(s, i, r))
	}
	return b.String()
}

func pySwapcase(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case unicode.IsUpper(r):
			b.WriteString(lowerAt(s, i, r))
		case unicode.IsLower(r):
			b.WriteString(upperRune(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func pyCasefold(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == 'ς':
			b.WriteRune('σ')
		case r == 'İ':
			b.WriteString("i̇")
		case r >= 0x80 && fullUpper[r] != "":
			b.WriteString(strings.ToLower(fullUpper[r]))
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

func isDigitRune(r rune) bool {
	return unicode.Is(unicode.Nd, r) || strings.ContainsRune("²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", r) || (r >= 0x2460 && r <= 0x2468)
}

func selfSlow(m *machine, self Value) (string, error) {
	s, _ := asString(self)
	return s, m.slowWork(len(s))
}

// classMethod tests that s is not empty and all of its characters pass.
func classMethod(pass func(rune) bool) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		s, err := selfSlow(m, self)
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !pass(r) }) < 0, err
	}
}

func emptyToo(pass func(rune) bool) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		s, err := selfSlow(m, self)
		return strings.IndexFunc(s, func(r rune) bool { return !pass(r) }) < 0, err
	}
}

func casedMethod(test func(string) bool) method {
	return func(m *machine, self Value, a *args) (Value, error) {
		s, err := selfSlow(m, self)
		return test(s), err
	}
}

func isLowerText(s string) bool {
	any := false
	for _, r := range s {
		if unicode.IsUpper(r) || unicode.IsTitle(r) {
			return false
		}
		any = any || unicode.IsLower(r)
	}
	return any
}

func isUpperText(s string) bool {
	any := false
	for _, r := range s {
		if unicode.IsLower(r) || unicode.IsTitle(r) {
			return false
		}
		any = any || unicode.IsUpper(r)
	}
	return any
}

func isTitleText(s string) bool {
	any, inWord := false, false
	for _, r := range s {
		up := unicode.IsUpper(r) || unicode.IsTitle(r)
		if up && inWord || unicode.IsLower(r) && !inWord {
			return false
		}
		inWord = cased(r)
		any = any || inWord
	}
	return any
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r)) {
			return false
		}
	}
	return s != ""
}
