package constrain

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// The bytes of a range of characters are those of its characters, and of no others.
func TestRunes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := NewVocabulary(256, func(id int32) []byte { return []byte{byte(id)} })
	edges := []rune{0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, utf8.MaxRune}
	for range 300 {
		lo, hi := edges[rng.IntN(len(edges))], rng.Int32N(utf8.MaxRune+1)
		if rng.IntN(2) == 0 {
			lo = max(0, hi-rng.Int32N(5000))
		}
		lo, hi = min(lo, hi), max(lo, hi)
		m, err := Compile(&Form{&grammar{start: alt(runes([]rune{lo, hi}), literal("\xFF"))}}, all) // not to be empty
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range append([]rune{lo - 1, lo, hi, hi + 1, rng.Int32N(utf8.MaxRune + 1)}, edges...) {
			if !utf8.ValidRune(r) {
				continue
			}
			s := m.start
			for _, b := range []byte(string(r)) {
				s = m.step(s, b)
			}
			if want := lo <= r && r <= hi; s.accept != want {
				t.Fatalf("%U…%U takes %U: %t", lo, hi, r, s.accept)
			}
		}
	}
}
