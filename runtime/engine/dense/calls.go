package dense

import (
	"fmt"
	"math"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/engine/spec"
)

// Prelude embeds the batch's tokens, runs the prelude's layers, and leaves each row's initial state in its slot.
func (e *Engine) Prelude(b *loopctl.Batch) error {
	s := &e.prelude
	if err := e.check(s, b); err != nil {
		return err
	}
	e.list(s, b)
	if s.pages.mem != nil {
		for _, q := range e.seqs {
			for i, id := range q.span.Tokens {
				*s.pages.id(q.span.Pages, q.past+i) = id
			}
		}
	}
	d, state := e.m.HiddenSize, e.m.StateWidth()
	hidden, inject := s.Gives("hidden"), s.Gives("inject")
	return e.groups(s, func(group []seq, seqLen int) error {
		shape := e.bind(s, group, seqLen)
		s.Out("hidden", e.out.hidden, shape[0], shape[1], int64(state))
		s.Out("inject", e.out.inject, shape[0], shape[1], int64(d))
		if err := s.Run(); err != nil {
			return err
		}
		results(group, seqLen, func(q *seq, own, at int) {
			slot := q.span.Rows[own]
			if hidden {
				copy(e.state(slot), e.out.hidden.F32()[at*state:])
			} else {
				clear(e.state(slot)) // state.kind zeros
			}
			if inject {
				copy(e.injected(slot), e.out.inject.F32()[at*d:])
			}
		})
		return nil
	})
}

// Block applies the block once to each of the batch's rows. A call that fails leaves every latent as it was.
func (e *Engine) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	s := &e.block
	if err := e.check(s, b); err != nil {
		return loopctl.RowInfo{}, err
	}
	e.list(s, b)
	e.keep(s)
	d, state := e.m.HiddenSize, e.m.StateWidth()
	next := e.next.F32()
	delta, gate := s.Gives("delta"), s.Gives("gate")
	err := e.groups(s, func(group []seq, seqLen int) error {
		shape := e.bind(s, group, seqLen)
		s.Out("hidden_out", e.out.hidden, shape[0], shape[1], int64(state))
		s.Out("delta", e.out.delta, shape[0], shape[1])
		s.Out("gate", e.out.gate, shape[0], shape[1])
		if err := s.Run(); err != nil {
			return err
		}
		results(group, seqLen, func(q *seq, own, at int) {
			row := q.first + own
			now := next[row*state : (row+1)*state]
			copy(now, e.out.hidden.F32()[at*state:])
			if delta {
				e.delta[row] = e.out.delta.F32()[at]
			} else {
				e.delta[row] = change(e.state(q.span.Rows[own])[:d], now[:d])
			}
			if gate {
				e.gate[row] = e.out.gate.F32()[at]
			}
		})
		return nil
	})
	if err != nil {
		return loopctl.RowInfo{}, err
	}
	for _, q := range e.seqs {
		for i, slot := range q.span.Rows {
			copy(e.state(slot), next[(q.first+i)*state:])
		}
	}
	info := loopctl.RowInfo{Delta: e.delta[:b.Rows:b.Rows]}
	if gate {
		info.Gate = e.gate[:b.Rows:b.Rows]
	}
	return info, nil
}

// change is ‖b−a‖/‖b‖, the divisor at least 1e-30, for blocks that do not give it.
func change(a, b []float32) float32 {
	diff, norm := 0.0, 0.0
	for i := range b {
		c := float64(b[i]) - float64(a[i])
		diff += c * c
		norm += float64(b[i]) * float64(b[i])
	}
	return float32(math.Sqrt(diff) / max(math.Sqrt(norm), 1e-30))
}

// Coda gives the logits of the rows that ask for them. Each view is good until the next Coda.
func (e *Engine) Coda(b *loopctl.Batch) ([][]float32, error) {
	s := &e.coda
	if err := e.check(s, b); err != nil {
		return nil, err
	}
	e.list(s, b)
	e.keep(s)
	vocab, wanted := e.m.VocabSize, 0
	for i := range b.Spans {
		wanted += len(b.Spans[i].LogitRows)
	}
	all := e.logits.F32()
	e.views = e.views[:0]
	for i := range wanted {
		e.views = append(e.views, all[i*vocab:(i+1)*vocab:(i+1)*vocab])
	}
	if wanted == 0 {
		return e.views, nil // the rows are in the pages: nothing to read
	}
	err := e.groups(s, func(group []seq, seqLen int) error {
		shape := e.bind(s, group, seqLen)
		s.Out("logits", e.out.logits, shape[0], shape[1], int64(vocab))
		if err := s.Run(); err != nil {
			return err
		}
		results(group, seqLen, func(q *seq, own, at int) {
			for i, r := range q.span.LogitRows {
				if int(r) == own {
					copy(e.views[q.logit+i], e.out.logits.F32()[at*vocab:])
				}
			}
		})
		return nil
	})
	return e.views, err
}

// keep writes the rows of the call into the stage's pages, all of them before any is read.
func (e *Engine) keep(s *stage) {
	if s.pages.mem == nil {
		return
	}
	for _, q := range e.seqs {
		for i, slot := range q.span.Rows {
			row := s.pages.floats(q.span.Pages, q.past+i)
			if n := copy(row, e.state(slot)); n < len(row) {
				copy(row[n:], e.injected(slot))
			}
		}
	}
}

// bind lays a group's sequences side by side, each filled up with its last row, and binds the graph's inputs to them.
func (e *Engine) bind(s *stage, group []seq, seqLen int) [2]int64 {
	d, state := e.m.HiddenSize, e.m.StateWidth()
	hidden, inject, injects := e.in.hidden.F32(), e.in.inject.F32(), s.Reads("inject")
	ids, positions, mask := e.in.ids.I64(), e.in.positions.I64(), e.in.mask.I64()
	for b := range group {
		q := &group[b]
		e.in.depth.I64()[b] = int64(q.span.Depth)
		for i := range seqLen {
			at, fed := b*seqLen+i, min(i, q.length()-1)
			positions[at], mask[at] = int64(q.position(fed)), 0
			if i == fed {
				mask[at] = 1
			}
			switch {
			case s.which == loopctl.StagePrelude && s.pages.mem != nil:
				ids[at] = int64(*s.pages.id(q.span.Pages, fed))
			case s.which == loopctl.StagePrelude:
				ids[at] = int64(q.span.Tokens[q.own(fed)])
			case s.pages.mem != nil:
				row := s.pages.floats(q.span.Pages, fed)
				copy(hidden[at*state:], row[:state])
				copy(inject[at*d:], row[state:])
			default:
				slot := q.span.Rows[q.own(fed)]
				copy(hidden[at*state:], e.state(slot))
				if injects {
					copy(inject[at*d:], e.injected(slot))
				}
			}
		}
	}
	batch, length := int64(len(group)), int64(seqLen)
	s.In("input_ids", e.in.ids, batch, length)
	s.In("position_ids", e.in.positions, batch, length)
	s.In("attention_mask", e.in.mask, batch, length)
	s.In("depth", e.in.depth, batch)
	s.In("hidden", e.in.hidden, batch, length, int64(state))
	s.In("inject", e.in.inject, batch, length, int64(d))
	return [2]int64{batch, length}
}

// results calls each for the spans' own rows: own is the row of the span, at the row of the native call.
func results(group []seq, seqLen int, each func(q *seq, own, at int)) {
	for b := range group {
		q := &group[b]
		for i := q.past; i < q.length(); i++ {
			each(q, q.own(i), b*seqLen+i)
		}
	}
}

// check refuses a batch that would overrun a buffer, as the engine of the kind paged does, and what there the attention
// refuses: rows past the context, and pages that are not there.
func (e *Engine) check(s *stage, b *loopctl.Batch) error {
	if err := spec.CheckBatch(s.which, b, &e.limits, s.which == loopctl.StagePrelude); err != nil {
		return err
	}
	for i := range b.Spans {
		span := &b.Spans[i]
		end := span.Past + len(span.Rows)
		if span.Past < 0 || end > e.limits.Context {
			return fmt.Errorf("%s call: rows %d to %d exceed the context of %d", s.which, span.Past, end, e.limits.Context)
		}
		if s.pages.mem == nil {
			continue
		}
		if len(span.Pages)*e.limits.PageSize < end {
			return fmt.Errorf("%s call: %d pages cannot hold %d tokens", s.which, len(span.Pages), end)
		}
		if err := spec.CheckPages(span.Pages, e.limits.Pages[s.which]); err != nil {
			return fmt.Errorf("%s call: %w", s.which, err)
		}
	}
	return nil
}
