package parity

import (
	"fmt"
	"slices"

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
	visible  int          // tokens that each row sees at least
	seed     uint64       // of its initial states, where they are drawn
	way      loopctl.Trajectory
}

func newSequence(e Engine, planes int) *sequence {
	return &sequence{e: e, capacity: e.Capacity(), planes: [3][][]int32{make([][]int32, 1), make([][]int32, planes), make([][]int32, 1)}}
}

// Alone starts a sequence that has an engine to itself, at one loop count, for tests that ask for logits and nothing else. The
// function goes on with tokens, in one call, and gives the logits of each, which are the caller's.
func Alone(e Engine, loops int, seed uint64) (feed func(tokens []int32) ([][]float32, error)) {
	s := newSequence(e, loops)
	s.seed = seed
	return func(tokens []int32) ([][]float32, error) {
		logits, _, err := s.feed(tokens, loops, watch{})
		return logits, err
	}
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
	// state is called before the first loop and after each: the rows' latent slots are their numbers.
	state func() error
	// info sees what the graph emits for the rows after each loop.
	info func(loop int, delta, gate []float32)
	// probe sees each row's logits after each loop but the last, whose logits feed returns.
	probe func(logits [][]float32)
	// stop ends the loop early; nil: after all loops.
	stop func(loop int) bool
}

// batch is a call's: the tokens at one stage and depth, on their way to so many loops.
func (s *sequence) batch(stage loopctl.Stage, depth, loops int, tokens []int32) (*loopctl.Batch, error) {
	table, err := s.cover(stage, depth%len(s.planes[stage]), max(s.done+len(tokens), s.visible))
	span := loopctl.Span{Past: s.done, Visible: s.visible, Tokens: tokens, Seed: s.seed, Pages: table, Rows: make([]int32, len(tokens))}
	for i := range span.Rows {
		span.Rows[i] = int32(i)
	}
	switch stage {
	case loopctl.StageBlock:
		span.Depth = depth
		span.Time, span.Step = s.way.At(depth, loops)
	case loopctl.StageCoda:
		span.LogitRows = span.Rows
	}
	return &loopctl.Batch{Rows: len(tokens), Spans: []loopctl.Span{span}}, err
}

// feed runs tokens through all stages, up to loops loops, and returns the logits of each, which are the caller's, and the loops done.
func (s *sequence) feed(tokens []int32, loops int, w watch) (logits [][]float32, done int, err error) {
	b, err := s.batch(loopctl.StagePrelude, 0, 0, tokens)
	if err == nil {
		err = s.e.Prelude(b)
	}
	if err == nil && w.state != nil {
		err = w.state()
	}
	for err == nil && done < loops && (done == 0 || w.stop == nil || !w.stop(done)) {
		if done > 0 && w.probe != nil {
			if logits, err = s.coda(tokens); err != nil {
				break
			}
			w.probe(logits)
		}
		err = s.loop(tokens, done, loops, w)
		done++
	}
	if err == nil {
		logits, err = s.coda(tokens)
	}
	s.done += len(tokens)
	return logits, done, err
}

// loop is the loop after depth others of so many.
func (s *sequence) loop(tokens []int32, depth, loops int, w watch) error {
	b, err := s.batch(loopctl.StageBlock, depth, loops, tokens)
	if err != nil {
		return err
	}
	info, err := s.e.Block(b)
	if err != nil {
		return err
	}
	if w.info != nil {
		w.info(depth+1, info.Delta, info.Gate)
	}
	if w.state != nil {
		return w.state()
	}
	return nil
}

// coda gives the logits of all tokens. Asking more than once changes nothing but the coda's own keys and values of these rows.
func (s *sequence) coda(tokens []int32) ([][]float32, error) {
	b, err := s.batch(loopctl.StageCoda, 0, 0, tokens)
	if err != nil {
		return nil, err
	}
	logits, err := s.e.Coda(b)
	own := make([][]float32, len(logits)) // the engine writes over its own
	for i, l := range logits {
		own[i] = slices.Clone(l)
	}
	return own, err
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

// row is what the run of a prompt leaves behind of one of its rows.
type row struct {
	states      [][]float32 // before the first loop and after each
	delta, gate []float32   // after each loop; nil where the block emits none
	logits      [][]float32 // after each loop, or after the last alone
	final       []float32   // what the head was applied to; nil where the graph hides it
}

// last is the logits after the last loop.
func (r *row) last() []float32 { return r.logits[len(r.logits)-1] }

// record runs a prompt, so many tokens in a call, and keeps what it leaves behind; with probe also the logits after each loop. Each
// row sees the first visible tokens at least.
func record(e Engine, tokens []int32, chunk, visible, loops int, probe bool, way loopctl.Trajectory) ([]row, error) {
	seq := newSequence(e, loops)
	seq.visible, seq.way = visible, way
	all := make([]row, len(tokens))
	left := all
	for part := range slices.Chunk(tokens, chunk) {
		rows := left[:len(part)]
		left = left[len(part):]
		keep := func(logits [][]float32) {
			for i, l := range logits {
				rows[i].logits = append(rows[i].logits, l)
			}
		}
		w := watch{
			state: func() error {
				for i := range rows {
					state := make([]float32, e.Manifest().HiddenSize)
					if err := e.Latent(int32(i), state); err != nil {
						return err
					}
					rows[i].states = append(rows[i].states, state)
				}
				return nil
			},
			info: func(_ int, delta, gate []float32) {
				for i := range rows {
					if delta != nil {
						rows[i].delta = append(rows[i].delta, delta[i])
					}
					if gate != nil {
						rows[i].gate = append(rows[i].gate, gate[i])
					}
				}
			},
		}
		if probe {
			w.probe = keep
		}
		logits, _, err := seq.feed(part, loops, w)
		if err != nil {
			return nil, err
		}
		keep(logits)
		for i := range rows {
			rows[i].final = slices.Clone(e.FinalHidden(i))
		}
	}
	return all, nil
}
