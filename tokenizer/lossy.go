package tokenizer

import "unicode/utf8"

const replacement = "\uFFFD"

// appendLossy appends b as valid UTF-8 by Rust's rule: one U+FFFD for each
// maximal part of a bad sequence. A last sequence that more bytes could still
// complete is left: rest is its length. final takes it for bad instead.
func appendLossy(dst, b []byte, final bool) (out []byte, rest int) {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			dst = append(dst, b[i])
			i++
			continue
		}
		n, ok := sequence(b[i:])
		switch {
		case ok:
			dst = append(dst, b[i:i+n]...)
		case i+n == len(b) && !final && incomplete(b[i:]):
			return dst, n
		default:
			dst = append(dst, replacement...)
		}
		i += n
	}
	return dst, 0
}

// sequence is the length of the character at the start of b, or, where it is
// none, of the longest part of it that a character could begin with (at least
// one byte): table 3-7 of The Unicode Standard.
func sequence(b []byte) (n int, ok bool) {
	lo, hi, size := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case 0xC2 <= c && c <= 0xDF:
		size = 2
	case 0xE0 <= c && c <= 0xEF:
		size = 3
		switch c {
		case 0xE0:
			lo = 0xA0
		case 0xED:
			hi = 0x9F
		}
	case 0xF0 <= c && c <= 0xF4:
		size = 4
		switch c {
		case 0xF0:
			lo = 0x90
		case 0xF4:
			hi = 0x8F
		}
	default:
		return 1, false
	}
	for n = 1; n < size; n++ {
		if n >= len(b) || b[n] < lo || b[n] > hi {
			return n, false
		}
		lo, hi = 0x80, 0xBF
	}
	return size, true
}

// incomplete tells whether b, which sequence found to be all of a beginning,
// could go on: a byte that no character starts with could not.
func incomplete(b []byte) bool { return 0xC2 <= b[0] && b[0] <= 0xF4 }
