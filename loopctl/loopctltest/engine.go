package loopctltest

import (
	"errors"
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
)

// Engine is a loopctl.Engine whose latents are arithmetic. It checks each batch against the contract: a breach is an
// error of the call and stays in Breaches.
type Engine struct {
	// Fault, where set, is asked before each call; nth counts the calls of that stage from 1. It may return an error,
	// panic, or sleep.
	Fault func(stage loopctl.Stage, nth int) error
	// FillFault, where set, is what Fill returns.
	FillFault error
	// Teller, where set, is told of each call.
	Teller Teller
	// Breaches are the batches that broke the contract.
	Breaches []error

	capacity loopctl.Capacity
	info     loopctl.RowInfo
	latents  []latent
	arena    [3][]int64 // one number per token: K and V in one
	calls    [3]int
	logits   [][]float32
	hot      []int // which logit of a row is set
	written  [3][]int
	slots    []int
	serial   int
}

// Teller is told what the engine is asked to do.
type Teller interface {
	Call(stage loopctl.Stage, b *loopctl.Batch)
	// Says comes for each row of logits, span being where the row is.
	Says(span *loopctl.Span, id int)
}

// latent is a row between prelude and coda.
type latent struct {
	h, inject   int64
	depth, pos  int
	token       int32
	seed        uint64
	initialized bool
}

// New makes an engine of this capacity.
func New(l loopctl.Capacity) *Engine {
	l.Delta, l.Gate, l.Seeded, l.Hidden = true, true, true, 1 // a latent is a number
	e := &Engine{capacity: l, latents: make([]latent, l.Latents), slots: make([]int, l.Latents)}
	for s, n := range l.Pages {
		e.arena[s] = make([]int64, n*l.PageSize)
		e.written[s] = make([]int, n*l.PageSize)
	}
	e.logits = make([][]float32, l.MaxRows)
	for i := range e.logits {
		e.logits[i] = make([]float32, l.Vocab)
	}
	e.hot = make([]int, l.MaxRows)
	return e
}

// Capacity returns what New was given.
func (e *Engine) Capacity() loopctl.Capacity { return e.capacity }

// Latent reads a slot.
func (e *Engine) Latent(slot int32, dst []float32) error {
	dst[0] = float32(e.latents[slot].h)
	return nil
}

// Prelude sets the rows' latents from token, position and seed.
func (e *Engine) Prelude(b *loopctl.Batch) error {
	if err := e.begin(loopctl.StagePrelude, b); err != nil {
		return err
	}
	e.write(loopctl.StagePrelude, b, func(s *loopctl.Span, r int) int64 { return Embed(s.Tokens[r], s.Past+r, s.Seed) })
	for i := range b.Spans {
		s := &b.Spans[i]
		for r, slot := range s.Rows {
			pos := s.Past + r
			h := Embed(s.Tokens[r], pos, s.Seed)
			h = e.attend(loopctl.StagePrelude, s, pos, h)
			e.latents[slot] = latent{h: h, inject: h, pos: pos, token: s.Tokens[r], seed: s.Seed, initialized: true}
		}
	}
	return nil
}

// Block applies one loop to each row.
func (e *Engine) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	if err := e.begin(loopctl.StageBlock, b); err != nil {
		return loopctl.RowInfo{}, err
	}
	e.info.Delta, e.info.Gate = e.info.Delta[:0], e.info.Gate[:0]
	e.write(loopctl.StageBlock, b, e.latentOf)
	for i := range b.Spans {
		s := &b.Spans[i]
		for r, slot := range s.Rows {
			l := &e.latents[slot]
			l.h = Loop(e.attend(loopctl.StageBlock, s, s.Past+r, l.h), l.inject, l.depth)
			if e.capacity.Trajectories != loopctl.TrajectoryNone {
				l.h = Way(l.h, s.Time, s.Step)
			}
			l.depth++
			e.info.Delta = append(e.info.Delta, Change(l.h))
			e.info.Gate = append(e.info.Gate, Gate(l.h))
		}
	}
	return e.info, nil
}

// Coda sets, in each logits row, one logit to 1: the token that the latent says.
func (e *Engine) Coda(b *loopctl.Batch) ([][]float32, error) {
	if err := e.begin(loopctl.StageCoda, b); err != nil {
		return nil, err
	}
	n := 0
	e.write(loopctl.StageCoda, b, e.latentOf)
	for i := range b.Spans {
		s := &b.Spans[i]
		next := 0
		for r, slot := range s.Rows {
			h := e.attend(loopctl.StageCoda, s, s.Past+r, e.latents[slot].h)
			if next < len(s.LogitRows) && int(s.LogitRows[next]) == r {
				id := Says(h, e.capacity.Vocab)
				e.logits[n][e.hot[n]] = 0
				e.logits[n][id], e.hot[n] = Sure(h), id
				if e.Teller != nil {
					e.Teller.Says(s, id)
				}
				next, n = next+1, n+1
			}
		}
	}
	return e.logits[:n], nil
}

// Fill copies single rows between pages.
func (e *Engine) Fill(fills []loopctl.Fill) error {
	if e.FillFault != nil {
		return e.FillFault
	}
	size := e.capacity.PageSize
	arena := e.arena[loopctl.StageBlock]
	for _, f := range fills {
		for _, to := range f.To {
			arena[int(to)*size+f.Position%size] = arena[int(f.From)*size+f.Position%size]
		}
	}
	return nil
}

func (e *Engine) latentOf(s *loopctl.Span, r int) int64 { return e.latents[s.Rows[r]].h }

// write puts K and V of all rows of a call into their pages, before any of them looks.
func (e *Engine) write(st loopctl.Stage, b *loopctl.Batch, of func(s *loopctl.Span, r int) int64) {
	size := e.capacity.PageSize
	for i := range b.Spans {
		s := &b.Spans[i]
		for r := range s.Rows {
			if pos := s.Past + r; e.capacity.Pages[st] > 0 {
				e.arena[st][int(s.Pages[pos/size])*size+pos%size] = Key(of(s, r), pos)
			}
		}
	}
}

// attend adds what the row sees: all rows up to its own, and the visible ones behind it.
func (e *Engine) attend(st loopctl.Stage, s *loopctl.Span, pos int, h int64) int64 {
	if e.capacity.Pages[st] == 0 {
		return h
	}
	size := e.capacity.PageSize
	for i := range max(pos+1, s.Visible) {
		h += Sees(e.arena[st][int(s.Pages[i/size])*size+i%size], pos-i)
	}
	return h % Modulus
}

func (e *Engine) begin(st loopctl.Stage, b *loopctl.Batch) error {
	e.calls[st]++
	if e.Teller != nil {
		e.Teller.Call(st, b)
	}
	if e.Fault != nil {
		if err := e.Fault(st, e.calls[st]); err != nil {
			return err
		}
	}
	e.serial++
	rows := 0
	for i := range b.Spans {
		rows += len(b.Spans[i].Rows)
		if err := e.checkSpan(st, &b.Spans[i]); err != nil {
			err = fmt.Errorf("%s call %d, span %d: %w", st, e.calls[st], i, err)
			e.Breaches = append(e.Breaches, err)
			return err
		}
	}
	if rows != b.Rows || rows > e.capacity.MaxRows || rows == 0 {
		err := fmt.Errorf("%s call %d: %d rows in spans, %d stated, at most %d", st, e.calls[st], rows, b.Rows, e.capacity.MaxRows)
		e.Breaches = append(e.Breaches, err)
		return err
	}
	return nil
}

// checkSpan holds a span against the contract of loopctl.Span.
func (e *Engine) checkSpan(st loopctl.Stage, s *loopctl.Span) error {
	end := s.Past + len(s.Rows)
	switch {
	case len(s.Rows) == 0 || len(s.Rows) != len(s.Tokens):
		return fmt.Errorf("%d rows and %d tokens", len(s.Rows), len(s.Tokens))
	case s.Past < 0 || end > e.capacity.Context:
		return fmt.Errorf("positions %d to %d of a context of %d", s.Past, end, e.capacity.Context)
	case (s.Visible > 0) != e.capacity.Whole || s.Visible > e.capacity.Context:
		return fmt.Errorf("%d tokens visible", s.Visible)
	case st != loopctl.StageBlock && s.Depth != 0:
		return fmt.Errorf("depth %d", s.Depth)
	case e.capacity.Pages[st] == 0 && len(s.Pages) != 0:
		return errors.New("pages for a stage without layers")
	case e.capacity.Pages[st] > 0 && len(s.Pages)*e.capacity.PageSize < max(end, s.Visible):
		return fmt.Errorf("%d pages for %d tokens", len(s.Pages), end)
	}
	for _, p := range s.Pages {
		if p < 0 || int(p) >= e.capacity.Pages[st] {
			return fmt.Errorf("page %d of %d", p, e.capacity.Pages[st])
		}
	}
	for pos := s.Past; pos < end && e.capacity.Pages[st] > 0; pos++ { // others may read the page, but nobody else writes here
		place := int(s.Pages[pos/e.capacity.PageSize])*e.capacity.PageSize + pos%e.capacity.PageSize
		if e.written[st][place] == e.serial {
			return fmt.Errorf("position %d: its place in page %d is written twice in one call", pos, s.Pages[pos/e.capacity.PageSize])
		}
		e.written[st][place] = e.serial
	}
	for r, slot := range s.Rows {
		if slot < 0 || int(slot) >= e.capacity.Latents {
			return fmt.Errorf("hidden-state slot %d of %d", slot, e.capacity.Latents)
		}
		if e.slots[slot] == e.serial {
			return fmt.Errorf("hidden-state slot %d is in two places of one call", slot)
		}
		e.slots[slot] = e.serial
		if st == loopctl.StagePrelude {
			continue
		}
		l := &e.latents[slot]
		if !l.initialized || l.pos != s.Past+r || l.token != s.Tokens[r] || l.seed != s.Seed || (st == loopctl.StageBlock && l.depth != s.Depth) {
			return fmt.Errorf("row %d: slot %d holds %+v, the span says position %d, token %d, depth %d", r, slot, *l, s.Past+r, s.Tokens[r], s.Depth)
		}
	}
	return nil
}
