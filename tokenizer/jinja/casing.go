package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

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
