package parity

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
)

// Engine is an engine that also shows its latents, as runtime/engine does.
type Engine interface {
	loopctl.Engine
	// Latent copies a slot's state into dst, [hidden].
	Latent(slot int32, dst []float32) error
	// FinalHidden is what the head was applied to in the last Coda, for its i-th logits; nil where the graph hides it.
	FinalHidden(i int) []float32
	Manifest() *bundle.Manifest
}

// sequence is one sequence on the engine, on pages that are handed out once: what others have left in them is not seen, and is
// written over. Its latent slots begin at 0.
type sequence struct {
	e        Engine
	capacity loopctl.Capacity
	next     [3]int32     // the next page, by stage
	planes   [3][][]int32 // page tables by stage and plane; depth t of the block has plane t mod their number
	done     int          // tokens in the cache
	seed     uint64       // of its initial states, where they are drawn
}

func newSequence(e Engine, planes int) *sequence {
	return &sequence{e: e, capacity: e.Capacity(), planes: [3][][]int32{make([][]int32, 1), make([][]int32, planes), make([][]int32, 1)}}
}

// cover grows the page table of a plane to hold n tokens.
func (s *sequence) cover(stage loopctl.Stage, plane, n int) ([]int32, error) {
	table, l := &s.planes[stage][plane], &s.capacity
	for l.Pages[stage] > 0 && len(*table)*l.PageSize < n {
		if int(s.next[stage]) >= l.Pages[stage] {
			return nil, fmt.Errorf("the engine has only %d %s pages", l.Pages[stage], stage)
		}
		*table = append(*table, s.next[stage])
		s.next[stage]++
	}
	return *table, nil
}

// watch is what a caller of feed wants to see on the way; each function may be nil.
type watch struct {
	// state sees each row's latent slot before the first loop (loop 0) and after each.
	state func(loop, row int, slot int32) error
	// info sees what the graph emits for the rows after each loop.
	info func(loop int, delta, gate []float32)
	// probe sees each row's logits after each loop but the last, whose logits feed returns.
	probe func(loop int, logits [][]float32)
	// stop ends the loop early; nil: after all loops.
	stop func(loop int) bool
}

// batch is a call's: the tokens at one stage and depth.
func (s *sequence) batch(stage loopctl.Stage, depth int, tokens []int32) (*loopctl.Batch, error) {
	table, err := s.cover(stage, depth%len(s.planes[stage]), s.done+len(tokens))
	span := loopctl.Span{Past: s.done, Tokens: tokens, Seed: s.seed, Pages: table, Rows: make([]int32, len(tokens))}
	for i := range span.Rows {
		span.Rows[i] = int32(i)
	}
	switch stage {
	case loopctl.StageBlock:
		span.Depth = depth
	case loopctl.StageCoda:
		span.LogitRows = span.Rows
	}
	return &loopctl.Batch{Rows: len(tokens), Spans: []loopctl.Span{span}}, err
}

// feed runs tokens through all stages, up to loops loops, and returns the logits of each and the loops done.
func (s *sequence) feed(tokens []int32, loops int, w watch) ([][]float32, int, error) {
	b, err := s.batch(loopctl.StagePrelude, 0, tokens)
	if err == nil {
		err = s.e.Prelude(b)
	}
	if err == nil {
		err = s.look(w, 0, len(tokens))
	}
	done := 0
	for more := true; more && err == nil; {
		if more, err = s.loop(tokens, done, loops, w); err == nil {
			done++
		}
	}
	if err != nil {
		return nil, done, err
	}
	logits, err := s.coda(tokens)
	s.done += len(tokens)
	return logits, done, err
}

// loop is the loop after depth others; it says whether there is another.
func (s *sequence) loop(tokens []int32, depth, loops int, w watch) (more bool, err error) {
	b, err := s.batch(loopctl.StageBlock, depth, tokens)
	if err != nil {
		return false, err
	}
	info, err := s.e.Block(b)
	if err != nil {
		return false, err
	}
	depth++
	if w.info != nil {
		w.info(depth, info.Delta, info.Gate)
	}
	if err := s.look(w, depth, len(tokens)); err != nil {
		return false, err
	}
	if depth == loops || w.stop != nil && w.stop(depth) {
		return false, nil
	}
	if w.probe != nil {
		logits, err := s.coda(tokens)
		if err != nil {
			return false, err
		}
		w.probe(depth, logits)
	}
	return true, nil
}

func (s *sequence) look(w watch, loop, rows int) error {
	if w.state == nil {
		return nil
	}
	for row := range rows {
		if err := w.state(loop, row, int32(row)); err != nil {
			return err
		}
	}
	return nil
}

// coda gives the logits of all tokens. Asking more than once changes nothing but the coda's own keys and values of these rows.
func (s *sequence) coda(tokens []int32) ([][]float32, error) {
	b, err := s.batch(loopctl.StageCoda, 0, tokens)
	if err != nil {
		return nil, err
	}
	return s.e.Coda(b)
}

// fill copies the rows of the last tokens, which ran depth loops, to the planes that they did not reach.
func (s *sequence) fill(tokens, depth int) error {
	block := s.planes[loopctl.StageBlock]
	size := s.capacity.PageSize
	var fills []loopctl.Fill
	for position := s.done - tokens; position < s.done; position++ {
		f := loopctl.Fill{Position: position, From: block[depth-1][position/size]}
		for plane := depth; plane < len(block); plane++ {
			table, err := s.cover(loopctl.StageBlock, plane, s.done)
			if err != nil {
				return err
			}
			f.To = append(f.To, table[position/size])
		}
		if len(f.To) > 0 {
			fills = append(fills, f)
		}
	}
	if len(fills) == 0 {
		return nil
	}
	return s.e.Fill(fills)
}
