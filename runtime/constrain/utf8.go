package constrain

import "unicode/utf8"

// runes is one character of the ranges, pairs of first and last, in UTF-8. Surrogates are no characters.
func runes(ranges []rune) *node {
	var kids []*node
	for i := 0; i+1 < len(ranges); i += 2 {
		lo, hi := ranges[i], min(ranges[i+1], utf8.MaxRune)
		kids = runeRange(kids, lo, min(hi, 0xD7FF))
		kids = runeRange(kids, max(lo, 0xE000), hi)
	}
	return alt(kids...)
}

// runeRange appends sequences of byte ranges that are exactly the characters lo…hi. It cuts the range where the length
// of the encoding changes, and then where a trailing byte's range is not whole.
func runeRange(kids []*node, lo, hi rune) []*node {
	if lo > hi {
		return kids
	}
	for _, last := range []rune{0x7F, 0x7FF, 0xFFFF} {
		if lo <= last && last < hi {
			return runeRange(runeRange(kids, lo, last), last+1, hi)
		}
	}
	if hi < utf8.RuneSelf {
		return append(kids, byteRange(byte(lo), byte(hi)))
	}
	for bits := 6; bits < 6*utf8.RuneLen(hi); bits += 6 {
		mask := rune(1)<<bits - 1
		if lo&^mask == hi&^mask {
			continue // they agree from here on
		}
		if lo&mask != 0 {
			return runeRange(runeRange(kids, lo, lo|mask), (lo|mask)+1, hi)
		}
		if hi&mask != mask {
			return runeRange(runeRange(kids, lo, hi&^mask-1), hi&^mask, hi)
		}
	}
	a, b := utf8.AppendRune(nil, lo), utf8.AppendRune(nil, hi)
	parts := make([]*node, len(a))
	for i := range a {
		parts[i] = byteRange(a[i], b[i])
	}
	return append(kids, seq(parts...))
}
