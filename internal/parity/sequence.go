package parity

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
)

// Latents is an engine that also shows its latents, as runtime/engine does.
type Latents interface {
	loopctl.Engine
	// Latent copies a slot's state into dst, [hidden].
	Latent(slot int32, dst []float32) error
	// FinalHidden is what the head was applied to in the last Coda, for its i-th logits; nil where the graph hides it.
	FinalHidden(i int) []float32
}

// sequence is one sequence alone on the engine, on pages of its own.
type sequence struct {
	e     Latents
	loops int
	done  int          // tokens in the cache
	pages [3][][]int32 // by stage and plane
	free  [3]int32     // next unused page
	rows  []int32
}

func newSequence(e Latents, loops int) *sequence {
	return &sequence{e: e, loops: loops, pages: [3][][]int32{make([][]int32, 1), make([][]int32, loops), make([][]int32, 1)}}
}

// table is the page table of (stage, plane), grown to hold n tokens.
func (s *sequence) table(stage loopctl.Stage, plane, n int) ([]int32, error) {
	l := s.e.Limits()
	if l.Pages[stage] == 0 {
		return nil, nil
	}
	t := s.pages[stage][plane]
	for len(t)*l.PageSize < n {
		if int(s.free[stage]) >= l.Pages[stage] {
			return nil, fmt.Errorf("the engine has only %d %s pages", l.Pages[stage], stage)
		}
		t = append(t, s.free[stage])
		s.free[stage]++
	}
	s.pages[stage][plane] = t
	return t, nil
}

// feed runs tokens through all stages and returns the logits of each. each, where not nil, sees the latents after every
// loop: each(loop, row, slot).
func (s *sequence) feed(tokens []int32, each func(loop, row int, slot int32) error) ([][]float32, error) {
	n := len(tokens)
	s.rows = s.rows[:0]
	for i := range n {
		s.rows = append(s.rows, int32(i))
	}
	batch := func(stage loopctl.Stage, depth int) (*loopctl.Batch, error) {
		pages, err := s.table(stage, depth, s.done+n)
		return &loopctl.Batch{Rows: n, Spans: []loopctl.Span{{Depth: depth, Past: s.done, Rows: s.rows, Tokens: tokens, Pages: pages}}}, err
	}
	look := func(loop int) error {
		for row, slot := range s.rows {
			if each != nil {
				if err := each(loop, row, slot); err != nil {
					return err
				}
			}
		}
		return nil
	}
	b, err := batch(loopctl.StagePrelude, 0)
	if err == nil {
		err = s.e.Prelude(b)
	}
	if err == nil {
		err = look(0)
	}
	for t := 0; t < s.loops && err == nil; t++ {
		if b, err = batch(loopctl.StageBlock, t); err == nil {
			if _, err = s.e.Block(b); err == nil {
				err = look(t + 1)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if b, err = batch(loopctl.StageCoda, 0); err != nil {
		return nil, err
	}
	b.Spans[0].LogitRows = s.rows
	logits, err := s.e.Coda(b)
	s.done += n
	return logits, err
}
