package parity

// Alone is a sequence that has an engine to itself, at one loop count: for tests that ask for logits and nothing else.
type Alone struct {
	seq   *sequence
	loops int
}

// NewAlone starts a sequence on pages of its own: what others have left in the cache is not seen, and is written over.
func NewAlone(e Engine, loops int, seed uint64) *Alone {
	s := newSequence(e, loops)
	s.seed = seed
	return &Alone{s, loops}
}

// Feed goes on with tokens, in one call, and gives the logits of each. They are the caller's.
func (a *Alone) Feed(tokens []int32) ([][]float32, error) {
	logits, _, err := a.seq.feed(tokens, a.loops, watch{})
	return logits, err
}
