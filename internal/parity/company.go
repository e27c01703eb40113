package parity

import "github.com/loopserve/loopserve/loopctl"

// company is another sequence that rides along in a sequence's calls: at another depth, at other positions, with other
// tokens, before or behind it in the call. Its own answers are not looked at.
type company struct {
	seq    *sequence
	tokens []int32 // what it is fed, over and over
	loops  int
	depth  int // of its rows: −1 before the prelude, loops before the coda
	rows   int
	turn   int
}

// most is where the company starts again.
const most = 24

// newCompany gives s company that is fed tokens; rows are the most that s has in a call.
func newCompany(s *sequence, tokens []int32, loops, rows int) *company {
	other := newSequence(s.e, max(2, loops))
	other.pages, other.slot = s.pages, int32(rows)
	return &company{seq: other, tokens: tokens, loops: len(other.planes[loopctl.StageBlock]), depth: -1, rows: 1}
}

// join puts the company's rows into a call of the stage, where it has rows for it, and never at the depth of the others:
// before that it advances in a call of its own. It says where the others' results begin.
func (c *company) join(b *loopctl.Batch, stage loopctl.Stage, depth int) (out, error) {
	if stage == loopctl.StageBlock {
		for c.depth < 0 || c.depth == c.loops || c.depth == depth {
			if err := c.alone(); err != nil {
				return out{}, err
			}
		}
	} else if stage != c.stage() {
		return out{}, nil
	}
	span, err := c.span()
	if err != nil {
		return out{}, err
	}
	c.advance()
	b.Rows += len(span.Rows)
	if c.turn++; c.turn%2 == 0 {
		b.Spans = append(b.Spans, span)
		return out{}, nil
	}
	b.Spans = append([]loopctl.Span{span}, b.Spans...)
	return out{row: len(span.Rows), logit: len(span.LogitRows)}, nil
}

func (c *company) stage() loopctl.Stage {
	switch c.depth {
	case -1:
		return loopctl.StagePrelude
	case c.loops:
		return loopctl.StageCoda
	}
	return loopctl.StageBlock
}

func (c *company) span() (loopctl.Span, error) {
	fed := make([]int32, c.rows)
	for i := range fed {
		fed[i] = c.tokens[(c.seq.done+i)%len(c.tokens)]
	}
	depth := 0
	if c.stage() == loopctl.StageBlock {
		depth = c.depth
	}
	return c.seq.span(c.stage(), depth, fed)
}

// alone is the company's next call without the others.
func (c *company) alone() error {
	span, err := c.span()
	if err != nil {
		return err
	}
	b := &loopctl.Batch{Rows: len(span.Rows), Spans: []loopctl.Span{span}}
	switch c.stage() {
	case loopctl.StagePrelude:
		err = c.seq.e.Prelude(b)
	case loopctl.StageBlock:
		_, err = c.seq.e.Block(b)
	default:
		_, err = c.seq.e.Coda(b)
	}
	c.advance()
	return err
}

func (c *company) advance() {
	if c.depth++; c.depth <= c.loops {
		return
	}
	c.seq.done += c.rows
	if c.seq.done >= most {
		c.seq.done = 0
	}
	c.depth, c.rows = -1, 1+(c.rows+1)%3
}
