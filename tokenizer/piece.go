package tokenizer

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
	head   bool
	normal []byte // a normal form that added tokens are cut out of
	text   []byte // what pieces point into
	spare  []byte // the buffer that a rewriting step fills
	pieces []piece
	more   []piece // the list that a splitting step fills
	events []event

	bpe     bpeScratch
	unigram unigramScratch
	words   wordCache
}

// maxKept bounds the buffers that go back to the pool: one huge prompt must
// not hold its memory for ever.
const maxKept = 1 << 20

func (s *scratch) keep() bool {
	return cap(s.input) <= maxKept && cap(s.text) <= maxKept && cap(s.spare) <= maxKept && cap(s.normal) <= maxKept &&
		cap(s.pieces) <= maxKept/8 && cap(s.more) <= maxKept/8 && cap(s.events) <= maxKept/8 &&
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
