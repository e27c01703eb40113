package tokenizer

import (
	"cmp"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

// unicodeForm is NFC, NFD, NFKC or NFKD (UAX #15) over the characters of
// Unicode 9.0; later ones stand for themselves. The data are x/text's, the way
// is the standard's: x/text itself puts a U+034F into every pile of more than
// 30 marks, and allocates.
type unicodeForm norm.Form

var unicodeForms = map[string]unicodeForm{
	"NFC": unicodeForm(norm.NFC), "NFD": unicodeForm(norm.NFD), "NFKC": unicodeForm(norm.NFKC), "NFKD": unicodeForm(norm.NFKD),
}

// assigned9 are the characters of Unicode 9.0: what x/text says of them is the
// same in every later version (Unicode's stability policy).
var assigned9 = rangetable.Assigned("9.0.0")

// classed is a character with its canonical combining class, a starter's is 0.
type classed struct {
	r     rune
	class uint8
}

func (f unicodeForm) apply(s *scratch, dst, src []byte) ([]byte, error) {
	for len(src) > 0 {
		end := norm.Form(f).QuickSpan(src) // so far it is in its form
		dst, src = append(dst, src[:end]...), src[end:]
		for end = 0; end < len(src) && (end == 0 || !f.begins(src[end:])); {
			end += runeLen(src[end:])
		}
		dst, src = f.segment(s, dst, src[:end]), src[end:]
	}
	return dst, nil
}

// begins tells whether nothing before the first character of b takes part in
// its form.
func (f unicodeForm) begins(b []byte) bool {
	properties := norm.Form(f).Properties(b)
	if apart := properties.Decomposition(); apart != nil { // a Jamo of compatibility may be a vowel
		properties = norm.Form(f).Properties(apart)
	}
	return properties.BoundaryBefore()
}

// segment appends the form of characters that nothing around them takes part in.
func (f unicodeForm) segment(s *scratch, dst, src []byte) []byte {
	s.classed = f.decompose(s.classed[:0], src)
	text := s.classed
	for i := 0; i < len(text); i++ { // marks stand in the order of their classes, those of equal class as they came
		from := i
		for i < len(text) && text[i].class > 0 {
			i++
		}
		slices.SortStableFunc(text[from:i], func(a, b classed) int { return cmp.Compare(a.class, b.class) })
	}
	if norm.Form(f) == norm.NFC || norm.Form(f) == norm.NFKC {
		text = compose(text)
	}
	for _, c := range text {
		dst = utf8.AppendRune(dst, c.r)
	}
	return dst
}

// Hangul syllables are decomposed by arithmetic (The Unicode Standard, 3.12).
const (
	hangulS, hangulL, hangulV, hangulT = 0xAC00, 0x1100, 0x1161, 0x11A7
	countV, countT                     = 21, 28
	lastHangulS                        = 0xD7A3
)

func (f unicodeForm) decompose(dst []classed, src []byte) []classed {
	for len(src) > 0 {
		r, n := decodeRune(src)
		properties := norm.Form(f).Properties(src)
		src = src[n:]
		switch apart := properties.Decomposition(); {
		case !unicode.Is(assigned9, r):
			dst = append(dst, classed{r: r})
		case hangulS <= r && r <= lastHangulS:
			s := r - hangulS
			dst = append(dst, classed{r: hangulL + s/(countV*countT)}, classed{r: hangulV + s%(countV*countT)/countT})
			if s%countT > 0 {
				dst = append(dst, classed{r: hangulT + s%countT})
			}
		case apart != nil:
			dst = f.decompose(dst, apart)
		default:
			dst = append(dst, classed{r, properties.CCC()})
		}
	}
	return dst
}

// compose puts characters together with the starter before them, where nothing
// between the two is in the way.
func compose(text []classed) []classed {
	pairs := composites()
	out, starter := text[:0], -1
	for _, c := range text {
		if starter >= 0 && (starter == len(out)-1 || out[len(out)-1].class < c.class) {
			if both, ok := pairs[[2]rune{out[starter].r, c.r}]; ok {
				out[starter].r = both
				continue
			}
		}
		if c.class == 0 {
			starter = len(out)
		}
		out = append(out, c)
	}
	return out
}

// composites are the characters that compose of two, Hangul syllables too:
// found by walking all characters, so once.
var composites = sync.OnceValue(func() map[[2]rune]rune {
	out := map[[2]rune]rune{}
	rangetable.Visit(assigned9, func(r rune) {
		whole := string(r)
		if norm.NFD.IsNormalString(whole) || !norm.NFC.IsNormalString(whole) {
			return
		}
		apart := []rune(norm.NFD.String(whole))
		first := []rune(norm.NFC.String(string(apart[:len(apart)-1])))
		out[[2]rune{first[0], apart[len(apart)-1]}] = r
	})
	return out
})
