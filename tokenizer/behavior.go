package tokenizer

import (
	"bytes"
	"unicode/utf8"
)

// finderStep splits by matches of something: characters or an expression.
type finderStep struct {
	pattern  matcher
	behavior behavior
	invert   bool // what is between the matches counts as the match
}

// matcher appends the matches of text in order. text is one piece: expressions see no further.
type matcher interface {
	find(dst []span, text []byte) ([]span, error)
}

// span is a match: where it starts and ends in the text.
type span struct{ start, end int }

// behavior says what becomes of the matches (Hugging Face's
// SplitDelimiterBehavior).
type behavior int

const (
	isolated behavior = iota
	removed
	contiguous
	mergedWithPrevious
	mergedWithNext
)

var behaviors = map[string]behavior{
	"Isolated": isolated, "Removed": removed, "Contiguous": contiguous,
	"MergedWithPrevious": mergedWithPrevious, "MergedWithNext": mergedWithNext,
}

func (f *finderStep) split(s *scratch) error {
	for _, p := range s.pieces {
		var err error
		if s.found, err = f.pattern.find(s.found[:0], s.text[p.start:p.end]); err != nil {
			return err
		}
		f.cut(s, p)
	}
	s.flip()
	return nil
}

// cut makes pieces of the matches in p and of what lies between them.
func (f *finderStep) cut(s *scratch, p piece) {
	from, done := p.start, p.start // the piece under way
	previous := false              // it ends with a match
	part := func(end int, match bool) {
		join := false
		switch f.behavior {
		case contiguous:
			join = match == previous
		case mergedWithPrevious:
			join = match && !previous
		case mergedWithNext:
			join = !match && previous
		}
		if !join {
			s.add(p, from, done)
			from = done
		}
		done, previous = end, match
		if match && f.behavior == removed {
			from = done
		}
	}
	for _, m := range s.found {
		if start := p.start + m.start; done < start {
			part(start, f.invert)
		}
		part(p.start+m.end, !f.invert)
	}
	if done < p.end {
		part(p.end, f.invert)
	}
	s.add(p, from, done)
}

// runeLen is the length of the first character of b, at least 1 so that loops
// go on.
func runeLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		if b[i]&0xC0 != 0x80 {
			return i
		}
	}
	return max(1, len(b))
}

// charMatcher matches one character at a time.
type charMatcher func(r rune) bool

func (is charMatcher) find(dst []span, text []byte) ([]span, error) {
	for i := 0; i < len(text); {
		r, n := decodeRune(text[i:])
		if is(r) {
			dst = append(dst, span{i, i + n})
		}
		i += n
	}
	return dst, nil
}

// literalMatcher matches a fixed string.
type literalMatcher string

func (l literalMatcher) find(dst []span, text []byte) ([]span, error) {
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte(l))
		if i < 0 {
			return dst, nil
		}
		dst = append(dst, span{from + i, from + i + len(l)})
		from += i + len(l)
	}
}

// spaceRuns matches runs of two spaces or more: the pattern " {2,}", which stands in every converted SentencePiece model.
type spaceRuns struct{}

func (spaceRuns) find(dst []span, text []byte) ([]span, error) {
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte("  "))
		if i < 0 {
			return dst, nil
		}
		start := from + i
		from = start + 2
		for from < len(text) && text[from] == ' ' {
			from++
		}
		dst = append(dst, span{start, from})
	}
}

// piece is a part of scratch.text that later steps treat by itself.
type piece struct {
	start, end int
	// head: its first character stands at the start of the caller's text,
	// which is what Metaspace's scheme "first" asks.
	head bool
}

// scratch is what one Encode works in; a pool lends it, so it has one user at
// a time and the steady state allocates nothing.
type scratch struct {
	input []byte // the caller's text, as valid UTF-8

	// head: the text under way comes from the start of the caller's, and no
	// normalizer has cut that start off.
	head    bool
	limit   int       // of text
	normal  []byte    // a normal form that added tokens are cut out of
	text    []byte    // what pieces point into
	spare   []byte    // the buffer that a rewriting step fills
	classed []classed // a text under way to its Unicode form
	pieces  []piece
	more    []piece // the list that a splitting step fills
	found   []span  // the matches in the piece under way

	bpe     bpeScratch
	unigram unigramScratch
	words   wordCache
}

// maxKept bounds the buffers that go back to the pool: one huge prompt must
// not hold its memory for ever.
const maxKept = 1 << 20

func (s *scratch) keep() bool {
	return cap(s.input) <= maxKept && cap(s.classed) <= maxKept/8 && cap(s.text) <= maxKept && cap(s.spare) <= maxKept && cap(s.normal) <= maxKept &&
		cap(s.pieces) <= maxKept/8 && cap(s.more) <= maxKept/8 && cap(s.found) <= maxKept/8 &&
		cap(s.bpe.ids) <= maxKept/4 && cap(s.bpe.nodes) <= maxKept/16 && cap(s.unigram.nodes) <= maxKept/16
}

// add appends the non-empty part [start, end) of p to the list being filled.
func (s *scratch) add(p piece, start, end int) {
	if start < end {
		s.more = append(s.more, piece{start, end, p.head && start == p.start})
	}
}

// flip makes the list being filled the current one.
func (s *scratch) flip() { s.pieces, s.more = s.more, s.pieces[:0] }

// preStep is one pre-tokenizer: it replaces s.pieces, and s.text where it
// rewrites.
type preStep interface {
	split(s *scratch) error
}

// decodeRune is utf8.DecodeRune with the ASCII case inlined.
func decodeRune(b []byte) (rune, int) {
	if b[0] < utf8.RuneSelf {
		return rune(b[0]), 1
	}
	return utf8.DecodeRune(b)
}
