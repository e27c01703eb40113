package constrain

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// runes is one character of the ranges, pairs of first and last, in UTF-8. Surrogates are no characters.
func runes(ranges []rune) *node {
	var kids []*node
	for r := range slices.Chunk(ranges, 2) {
		first := max(r[0], 0)
		for _, last := range []rune{0x7F, 0x7FF, 0xD7FF, 0xFFFF, utf8.MaxRune} { // where the encoding's length changes
			if hi := min(r[1], last); first <= hi {
				kids = append(kids, ordered(string(first), string(hi), 0x80, 0xBF))
			}
			if first = max(first, last+1); first == 0xD800 {
				first = 0xE000
			}
		}
	}
	return alt(kids...)
}

// ordered is the texts from a to b, which are of one length and, behind their first bytes, of any bytes from low to high.
func ordered(a, b string, low, high byte) *node {
	if a == "" {
		return empty
	}
	if a[0] == b[0] {
		return seq(literal(a[:1]), ordered(a[1:], b[1:], low, high))
	}
	first, last := a[0], b[0]
	least, most := strings.Repeat(string([]byte{low}), len(a)-1), strings.Repeat(string([]byte{high}), len(a)-1)
	var kids []*node
	if a[1:] != least {
		kids = append(kids, seq(literal(a[:1]), ordered(a[1:], most, low, high)))
		first++
	}
	if b[1:] != most {
		kids = append(kids, seq(literal(b[:1]), ordered(least, b[1:], low, high)))
		last--
	}
	if first <= last {
		kids = append(kids, seq(byteRange(first, last), ordered(least, most, low, high)))
	}
	return alt(kids...)
}
