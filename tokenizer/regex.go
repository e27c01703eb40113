package tokenizer

import (
	"fmt"
	"regexp"
	"strconv"
)

func parsePattern(owner string, p pattern) (matcher, error) {
	if err := p.check(owner); err != nil {
		return nil, err
	}
	if p.String != nil {
		if *p.String == "" {
			return nil, unsupported("%s: an empty string as pattern", owner)
		}
		return literalMatcher(*p.String), nil
	}
	if m, ok := knownScanner(*p.Regex); ok {
		return m, nil
	}
	m, err := newExpression(*p.Regex)
	if err != nil {
		return nil, fmt.Errorf("%s: expression %q: %w", owner, *p.Regex, err)
	}
	return m, nil
}

// Split patterns that have a scanner of their own, with %N for how numbers
// are counted.
const (
	gpt2Pattern   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	cl100kPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%N| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	o200kPattern  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`%N| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var countedNumbers = regexp.MustCompile(`\|\\p\{N\}(\{1,([1-9])\}|\+|)\|`)

// knownScanner is the scanner for an expression that has one.
func knownScanner(expression string) (matcher, bool) {
	switch expression {
	case gpt2Pattern:
		return gpt2{}, true
	case huginnPattern:
		return huginn{}, true
	case ` {2,}`: // of every converted SentencePiece model
		return twoSpaces{}, true
	}
	at := countedNumbers.FindStringSubmatchIndex(expression)
	if at == nil {
		return nil, false
	}
	digits := 1
	switch count := expression[at[2]:at[3]]; {
	case count == "+":
		digits = 0
	case count != "":
		digits, _ = strconv.Atoi(expression[at[4]:at[5]])
	}
	switch expression[:at[0]] + "|%N|" + expression[at[1]:] {
	case cl100kPattern:
		return cl100k{digits}, true
	case o200kPattern:
		return o200k{digits}, true
	}
	return nil, false
}
