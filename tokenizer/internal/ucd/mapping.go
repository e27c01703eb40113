package ucd

import "unicode/utf8"

// AppendLower appends r in lower case; İ becomes two characters.
func AppendLower(dst []byte, r rune) []byte {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return append(dst, byte(r))
	}
	to, ok := lowerMap[r]
	if !ok {
		return utf8.AppendRune(dst, r)
	}
	for _, r := range to {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// Class is the canonical combining class of r.
func Class(r rune) uint8 { return classTable.at(r) }

// Decomposition is the full canonical (or compatibility) decomposition of r,
// nil where r stands for itself. Hangul is not in the table.
func Decomposition(r rune, compat bool) []rune {
	if compat {
		if to, ok := compatMap[r]; ok {
			return to
		}
	}
	return canonicalMap[r]
}

// Compose is the primary composite of first and second.
func Compose(first, second rune) (rune, bool) {
	r, ok := composeMap[uint64(first)<<32|uint64(second)]
	return r, ok
}

// Break is a grapheme cluster break property, as far as it matters for
// clusters under six bytes.
type Break uint8

// Break properties; Extend includes ZWJ and SpacingMark.
const (
	Other Break = iota
	CR
	LF
	Control
	Extend
	Prepend
)

// BreakOf is the break property of r.
func BreakOf(r rune) Break { return Break(breakTable.at(r)) }
