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
