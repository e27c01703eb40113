package tokenizer

import "unicode/utf8"

// The byte alphabet of GPT-2 writes each byte as one printable character:
// most of Latin-1 stands for itself, the rest follows from U+0100 on.
var (
	charOfByte = func() (t [256]rune) {
		next := rune(256)
		for b := range 256 {
			switch r := rune(b); {
			case '!' <= r && r <= '~', 0xA1 <= r && r <= 0xAC, 0xAE <= r && r <= 0xFF:
				t[b] = r
			default:
				t[b] = next
				next++
			}
		}
		return t
	}()
	byteOfChar = func() (t [324]int16) {
		for i := range t {
			t[i] = -1
		}
		for b, r := range charOfByte {
			t[r] = int16(b)
		}
		return t
	}()
)

// appendBytes appends the bytes that a token spells in the byte alphabet; ok
// is false, and dst unchanged, where a character is not of it.
func appendBytes(dst []byte, token string) (out []byte, ok bool) {
	n := len(dst)
	for _, r := range token {
		if int(r) >= len(byteOfChar) || byteOfChar[r] < 0 {
			return dst[:n], false
		}
		dst = append(dst, byte(byteOfChar[r]))
	}
	return dst, true
}

// appendAlphabet appends b in the byte alphabet.
func appendAlphabet(dst, b []byte) []byte {
	for _, c := range b {
		dst = utf8.AppendRune(dst, charOfByte[c])
	}
	return dst
}
