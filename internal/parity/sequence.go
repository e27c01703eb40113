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

// pages hands out the engine's pages, each once: a sequence of these tests never gives one back.
type pages struct {
	limits loopctl.Capacity
	next   [3]int32
}

// cover grows the page table of a plane to hold n tokens.
func (p *pages) cover(stage loopctl.Stage, table []int32, n int) ([]int32, error) {
	if p.limits.Pages[stage] == 0 {
		return nil, nil
	}
	for len(table)*p.limits.PageSize < n {
		if int(p.next[stage]) >= p.limits.Pages[stage] {
			return nil, fmt.Errorf("the engine has only %d %s pages", p.limits.Pages[stage], stage)
		}
		table = append(table, p.next[stage])
		p.next[stage]++
	}
	return table, nil
}

// sequence is one sequence on the engine, on pages of its own.
type sequence struct {
	e       Engine
	pages   *pages
	planes  [3][][]int32 // page tables by stage and plane; depth t of the block has plane t mod their number
	done    int          // tokens in the cache
	slot    int32        // its first latent slot
	seed    uint64       // of its initial states, where they are drawn
	company *company     // nil: alone in its calls

	firstLogit int // of the last coda call
}

func newSequence(e Engine, planes int) *sequence {
	s := &sequence{e: e, pages: &pages{limits: e.Capacity()}}
	s.planes = [3][][]int32{make([][]int32, 1), make([][]int32, planes), make([][]int32, 1)}
	return s
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

// out is where the sequence's results lie among those of a call.
type out struct{ row, logit int }

// batch makes the call's batch of the sequence's span and, in company, the other's.
func (s *sequence) batch(stage loopctl.Stage, depth int, tokens []int32) (*loopctl.Batch, out, error) {
	span, err := s.span(stage, depth, tokens)
	if err != nil {
		return nil, out{}, err
	}
	b, at := &loopctl.Batch{Rows: len(tokens), Spans: []loopctl.Span{span}}, out{}
	if s.company != nil {
		at, err = s.company.join(b, stage, depth)
	}
	return b, at, err
}

func (s *sequence) span(stage loopctl.Stage, depth int, tokens []int32) (loopctl.Span, error) {
	plane := &s.planes[stage][depth%len(s.planes[stage])]
	table, err := s.pages.cover(stage, *plane, s.done+len(tokens))
	*plane = table
	span := loopctl.Span{Past: s.done, Tokens: tokens, Seed: s.seed, Pages: table, Rows: make([]int32, len(tokens))}
	for i := range span.Rows {
		span.Rows[i] = s.slot + int32(i)
	}
	switch stage {
	case loopctl.StageBlock:
		span.Depth = depth
	case loopctl.StageCoda:
		for i := range tokens {
			span.LogitRows = append(span.LogitRows, int32(i))
		}
	}
	return span, err
}

// feed runs tokens through all stages, up to loops loops, and returns the logits of each and the loops done.
func (s *sequence) feed(tokens []int32, loops int, w watch) ([][]float32, int, error) {
	b, _, err := s.batch(loopctl.StagePrelude, 0, tokens)
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
	b, at, err := s.batch(loopctl.StageBlock, depth, tokens)
	if err != nil {
		return false, err
	}
	info, err := s.e.Block(b)
	if err != nil {
		return false, err
	}
	depth++
	if w.info != nil {
		w.info(depth, rowsOf(info.Delta, at.row, len(tokens)), rowsOf(info.Gate, at.row, len(tokens)))
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

func rowsOf(numbers []float32, first, rows int) []float32 {
	if numbers == nil {
		return nil
	}
	return numbers[first : first+rows]
}

func (s *sequence) look(w watch, loop, rows int) error {
	if w.state == nil {
		return nil
	}
	for row := range rows {
		if err := w.state(loop, row, s.slot+int32(row)); err != nil {
			return err
		}
	}
	return nil
}

// coda gives the logits of all tokens, which begin at place s.firstLogit of the call. Asking more than once changes
// nothing but the coda's own keys and values of these rows.
func (s *sequence) coda(tokens []int32) ([][]float32, error) {
	b, at, err := s.batch(loopctl.StageCoda, 0, tokens)
	if err != nil {
		return nil, err
	}
	logits, err := s.e.Coda(b)
	if err != nil {
		return nil, err
	}
	s.firstLogit = at.logit
	return logits[at.logit : at.logit+len(tokens)], nil
}

// finalHidden is what the head was applied to for the i-th logits of the last coda call.
func (s *sequence) finalHidden(i int) []float32 { return s.e.FinalHidden(s.firstLogit + i) }

// fill copies the rows of the last tokens, which ran depth loops, to the planes that they did not reach.
func (s *sequence) fill(tokens, depth int) error {
	block := s.planes[loopctl.StageBlock]
	size := s.pages.limits.PageSize
	var fills []loopctl.Fill
	for position := s.done - tokens; position < s.done; position++ {
		f := loopctl.Fill{Position: position, From: block[depth-1][position/size]}
		for plane := depth; plane < len(block); plane++ {
			table, err := s.pages.cover(loopctl.StageBlock, block[plane], s.done)
			if err != nil {
				return err
			}
			block[plane] = table
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
