package tokenizer

import "github.com/loopserve/loopserve/tokenizer/internal/ucd"

// o200k is the pattern of GPT-4o and its kin, in two alternatives of
//
//	[^\r\n\p{L}\p{N}]?U*L+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	[^\r\n\p{L}\p{N}]?U+L*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//
// with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and L = [\p{Ll}\p{Lm}\p{Lo}\p{M}],
// then \p{N}{1,k}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
type o200k struct{ digits int }

const (
	bothCases = 1<<ucd.Lm | 1<<ucd.Lo | ucd.M
	upperSet  = 1<<ucd.Lu | 1<<ucd.Lt | bothCases
	lowerSet  = 1<<ucd.Ll | bothCases
)

func (p o200k) next(b []byte, i int) (int, int, error) {
	r, n := decodeRune(b[i:])
	class := classify(r)
	prefix := class != classLetter && class != classNumber && r != '\r' && r != '\n'
	for _, word := range [...]func([]byte, int) int{mixedWord, upperWord} {
		if prefix {
			if end := word(b, i+n); end > 0 {
				return i, end + contraction(b[end:], true), nil
			}
		}
		if end := word(b, i); end > 0 {
			return i, end + contraction(b[end:], true), nil
		}
	}
	if class == classNumber {
		return i, numbers(b, i, p.digits), nil
	}
	at := i
	if r == ' ' {
		at++
	}
	if end := skip(b, at, classOther); end > at {
		for end < len(b) && (b[end] == '\r' || b[end] == '\n' || b[end] == '/') {
			end++
		}
		return i, end, nil
	}
	return i, spaces(b, i, true), nil
}

func skipSet(b []byte, i int, set ucd.Set) int {
	for i < len(b) {
		r, n := decodeRune(b[i:])
		if !ucd.In(r, set) {
			break
		}
		i += n
	}
	return i
}

// mixedWord is the end of U*L+ at i, 0 if it does not match. Where no
// character follows that only L has, U* gives back up to the last that both
// have.
func mixedWord(b []byte, i int) int {
	upper, both := i, 0
	for upper < len(b) {
		r, n := decodeRune(b[upper:])
		if !ucd.In(r, upperSet) {
			break
		}
		upper += n
		if ucd.In(r, bothCases) {
			both = upper
		}
	}
	if end := skipSet(b, upper, lowerSet); end > upper {
		return end
	}
	return both
}

// upperWord is the end of U+L* at i, 0 if it does not match.
func upperWord(b []byte, i int) int {
	if end := skipSet(b, i, upperSet); end > i {
		return skipSet(b, end, lowerSet)
	}
	return 0
}
