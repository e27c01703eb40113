//go:build cgo

package engine_test

import (
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/loopctl"
)

// companyRows is the most rows that company has in a call, companyTokens where it starts its sequence again.
const (
	companyRows   = 3
	companyTokens = 24
)

// company is an engine in whose calls another sequence rides along.
type company struct {
	parity.Engine
	latents int          // slots that are left to the others: company's are behind them
	planes  [3][][]int32 // its page tables by stage and plane
	loops   int
	depth   int // of its rows: −1 before the prelude, loops before the coda
	done    int // its tokens in the cache
	rows    int
	turn    int

	firstLogit int // of the others, in the last coda call
}

// inCompany is an engine in whose calls another sequence rides along: at another depth, at other positions, with other tokens,
// in turn before and behind the rows of the call. Its own answers are not looked at; the others' must not depend on it.
// It keeps the last pages, slots and rows of the engine to itself.
func inCompany(e parity.Engine) parity.Engine {
	l := e.Capacity()
	c := &company{Engine: e, latents: l.Latents - companyRows, depth: -1, rows: 1, loops: max(2, min(5, l.Loops.Max))}
	need := (companyTokens + companyRows + l.PageSize - 1) / l.PageSize
	for stage, planes := range [3]int{1, c.loops, 1} {
		last := int32(l.Pages[stage])
		for range planes {
			var table []int32
			for range need {
				if l.Pages[stage] > 0 {
					last--
					table = append(table, last)
				}
			}
			c.planes[stage] = append(c.planes[stage], table)
		}
	}
	return c
}

// Capacity implements loopctl.Engine: what is left to the others.
func (c *company) Capacity() loopctl.Capacity {
	l := c.Engine.Capacity()
	l.Latents, l.MaxRows = c.latents, l.MaxRows-companyRows
	for stage, tables := range c.planes {
		l.Pages[stage] -= len(tables) * len(tables[0])
	}
	return l
}

// join makes the call's batch with company in it, where company is at the stage, and never at the depth of the others: before
// that it advances in a call of its own. It says how many rows of its own stand before the others'.
func (c *company) join(b *loopctl.Batch, stage loopctl.Stage) (out *loopctl.Batch, before int, err error) {
	if stage == loopctl.StageBlock {
		for c.stage() != stage || c.depth == b.Spans[0].Depth {
			if err := c.alone(); err != nil {
				return nil, 0, err
			}
		}
	}
	if stage != c.stage() {
		return b, 0, nil
	}
	span := c.span()
	c.advance()
	out = &loopctl.Batch{Rows: b.Rows + len(span.Rows)}
	if c.turn++; c.turn%2 == 0 {
		out.Spans = append(append(out.Spans, b.Spans...), span)
		return out, 0, nil
	}
	out.Spans = append(append(out.Spans, span), b.Spans...)
	return out, len(span.Rows), nil
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

// span is company's next one.
func (c *company) span() loopctl.Span {
	stage, plane, vocab := c.stage(), 0, c.Engine.Capacity().Vocab
	if stage == loopctl.StageBlock {
		plane = c.depth
	}
	s := loopctl.Span{Past: c.done, Depth: plane}
	s.Time, s.Step = loopctl.Trajectory(nil).At(plane, c.loops)
	size := c.Engine.Capacity().PageSize
	if table := c.planes[stage][plane]; len(table) > 0 {
		s.Pages = table[:(c.done+c.rows+size-1)/size]
	}
	for i := range c.rows {
		at := c.done + i
		s.Tokens = append(s.Tokens, int32((at*at+3*at+1)%vocab))
		s.Rows = append(s.Rows, int32(c.latents+i))
		if stage == loopctl.StageCoda {
			s.LogitRows = append(s.LogitRows, int32(i))
		}
	}
	return s
}

// alone is company's next call without the others.
func (c *company) alone() error {
	span, stage := c.span(), c.stage()
	b := &loopctl.Batch{Rows: len(span.Rows), Spans: []loopctl.Span{span}}
	c.advance()
	var err error
	switch stage {
	case loopctl.StagePrelude:
		err = c.Engine.Prelude(b)
	case loopctl.StageBlock:
		_, err = c.Engine.Block(b)
	default:
		_, err = c.Engine.Coda(b)
	}
	return err
}

func (c *company) advance() {
	if c.depth++; c.depth <= c.loops {
		return
	}
	if c.done += c.rows; c.done >= companyTokens {
		c.done = 0
	}
	c.depth, c.rows = -1, 1+(c.rows+1)%companyRows
}

// Prelude implements loopctl.Engine.
func (c *company) Prelude(b *loopctl.Batch) error {
	b, _, err := c.join(b, loopctl.StagePrelude)
	if err != nil {
		return err
	}
	return c.Engine.Prelude(b)
}

// Block implements loopctl.Engine.
func (c *company) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	all, before, err := c.join(b, loopctl.StageBlock)
	if err != nil {
		return loopctl.RowInfo{}, err
	}
	info, err := c.Engine.Block(all)
	if info.Delta != nil {
		info.Delta = info.Delta[before : before+b.Rows]
	}
	if info.Gate != nil {
		info.Gate = info.Gate[before : before+b.Rows]
	}
	return info, err
}

// Coda implements loopctl.Engine.
func (c *company) Coda(b *loopctl.Batch) ([][]float32, error) {
	want := 0
	for i := range b.Spans {
		want += len(b.Spans[i].LogitRows)
	}
	all, before, err := c.join(b, loopctl.StageCoda)
	if err != nil {
		return nil, err
	}
	logits, err := c.Engine.Coda(all)
	if err != nil {
		return nil, err
	}
	c.firstLogit = before
	return logits[before : before+want], nil
}

// FinalHidden implements parity.Engine.
func (c *company) FinalHidden(i int) []float32 { return c.Engine.FinalHidden(c.firstLogit + i) }
