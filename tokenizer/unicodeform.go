package tokenizer

import (
	"sync"
	"unicode/utf8"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// unicodeForm is NFC, NFD, NFKC or NFKD (UAX #15) over the characters of
// Unicode 9.0; later ones stand for themselves.
type unicodeForm struct{ compose, compat bool }

// Hangul syllables are composed by arithmetic (The Unicode Standard, 3.12).
const (
	hangulS, hangulL, hangulV, hangulT = 0xAC00, 0x1100, 0x1161, 0x11A7
	countL, countV, countT             = 19, 21, 28
	countS                             = countL * countV * countT
)

// quick is the end of the prefix of src that every form leaves alone: ASCII.
func quick(src []byte) int {
	for i, c := range src {
		if c >= utf8.RuneSelf {
			return i
		}
	}
	return len(src)
}

// segment is what stands between two starters: characters with classes.
type segment struct {
	runes   []rune
	classes []uint8
}

var segments = sync.Pool{New: func() any { return new(segment) }}

func (f unicodeForm) apply(_ *scratch, dst, src []byte) ([]byte, error) {
	n := quick(src)
	if n == len(src) || f.inert(src[n:]) {
		return append(dst, src...), nil
	}
	if n > 0 { // the last of them may compose with what follows
		n--
	}
	dst, src = append(dst, src[:n]...), src[n:]
	seg := segments.Get().(*segment)
	for i := 0; i < len(src); {
		r, size := decodeRune(src[i:])
		i += size
		dst = f.push(dst, seg, r)
	}
	dst = f.flush(dst, seg)
	if cap(seg.runes) <= maxKept {
		segments.Put(seg)
	}
	return dst, nil
}

// inert tells whether the form leaves src alone, by a test that says no too
// often but not for common text.
func (f unicodeForm) inert(src []byte) bool {
	for i := 0; i < len(src); {
		r, n := decodeRune(src[i:])
		i += n
		switch {
		case r < 0xA0, f.compose && r < 0x300 && !f.compat:
		case f.compose && hangulS <= r && r < hangulS+countS:
		case 0x3041 <= r && r <= 0x3096 && f.compose, 0x4E00 <= r && r <= 0x9FFF, 0x400 <= r && r <= 0x482 && f.compose:
		default:
			return false
		}
	}
	return true
}

// push decomposes r into the segment; a starter ends the one before, unless
// it composes with it.
func (f unicodeForm) push(dst []byte, seg *segment, r rune) []byte {
	if s := r - hangulS; 0 <= s && s < countS {
		dst = f.one(dst, seg, hangulL+s/(countV*countT))
		dst = f.one(dst, seg, hangulV+s%(countV*countT)/countT)
		if t := s % countT; t > 0 {
			dst = f.one(dst, seg, hangulT+t)
		}
		return dst
	}
	to := ucd.Decomposition(r, f.compat)
	if to == nil {
		return f.one(dst, seg, r)
	}
	for _, r := range to {
		dst = f.one(dst, seg, r)
	}
	return dst
}

func (f unicodeForm) one(dst []byte, seg *segment, r rune) []byte {
	class := ucd.Class(r)
	if class == 0 && len(seg.runes) > 0 {
		if f.compose {
			seg.settle()
			// Two starters compose when nothing is left between them.
			if c, ok := compose(seg.runes[0], r); ok && len(seg.runes) == 1 && seg.classes[0] == 0 {
				seg.runes[0] = c
				return dst
			}
		}
		dst = f.flush(dst, seg)
	}
	seg.runes = append(seg.runes, r)
	seg.classes = append(seg.classes, class)
	return dst
}

func (f unicodeForm) flush(dst []byte, seg *segment) []byte {
	if f.compose {
		seg.settle()
	} else {
		seg.order()
	}
	for _, r := range seg.runes {
		dst = utf8.AppendRune(dst, r)
	}
	seg.runes, seg.classes = seg.runes[:0], seg.classes[:0]
	return dst
}

// settle orders the marks and composes them into the starter.
func (s *segment) settle() {
	s.order()
	if len(s.runes) < 2 || s.classes[0] != 0 {
		return
	}
	kept, last := 1, uint8(0)
	for i := 1; i < len(s.runes); i++ {
		class := s.classes[i]
		if c, ok := compose(s.runes[0], s.runes[i]); ok && (kept == 1 || last < class) {
			s.runes[0] = c
			continue
		}
		s.runes[kept], s.classes[kept], last = s.runes[i], class, class
		kept++
	}
	s.runes, s.classes = s.runes[:kept], s.classes[:kept]
}

// order sorts the marks by class, those of equal class as they came: by
// counting where there are many, so that no pile of marks is slow.
func (s *segment) order() {
	if len(s.runes) > 32 {
		s.count()
		return
	}
	for i := 1; i < len(s.runes); i++ {
		for j := i; j > 0 && s.classes[j] != 0 && s.classes[j-1] > s.classes[j]; j-- {
			s.runes[j], s.runes[j-1] = s.runes[j-1], s.runes[j]
			s.classes[j], s.classes[j-1] = s.classes[j-1], s.classes[j]
		}
	}
}

func (s *segment) count() {
	var at [257]int
	for _, c := range s.classes {
		at[int(c)+1]++
	}
	for i := 1; i < len(at); i++ {
		at[i] += at[i-1]
	}
	runes, classes := make([]rune, len(s.runes)), make([]uint8, len(s.runes))
	for i, c := range s.classes {
		runes[at[c]], classes[at[c]] = s.runes[i], c
		at[c]++
	}
	s.runes, s.classes = runes, classes
}

func compose(a, b rune) (rune, bool) {
	if l, v := a-hangulL, b-hangulV; 0 <= l && l < countL && 0 <= v && v < countV {
		return hangulS + (l*countV+v)*countT, true
	}
	if s, t := a-hangulS, b-hangulT; 0 <= s && s < countS && s%countT == 0 && 0 < t && t < countT {
		return a + t, true
	}
	return ucd.Compose(a, b)
}
