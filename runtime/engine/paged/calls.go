package paged

import (
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/engine/spec"
)

// Prelude embeds the batch's tokens, runs the prelude's layers, and leaves each row's initial state in its slot.
func (e *Engine) Prelude(b *loopctl.Batch) error {
	if err := spec.CheckBatch(loopctl.StagePrelude, b, &e.limits, true); err != nil {
		return err
	}
	rows, d := int64(b.Rows), int64(e.m.HiddenSize)
	s := &e.prelude
	packTokens(b, e.rows.ids.I64())
	s.call.In(s.ids, e.rows.ids, rows)
	if s.hidden >= 0 {
		s.call.Out(s.hidden, e.rows.hiddenOut, rows, d)
	}
	if s.inject >= 0 {
		s.call.Out(s.inject, e.rows.inject, rows, d)
	}
	if err := s.run(b, &e.meta); err != nil {
		return err
	}
	if s.inject >= 0 {
		e.inject.scatter(b, e.rows.inject)
	}
	if s.hidden >= 0 {
		e.hidden.scatter(b, e.rows.hiddenOut)
	} else {
		e.state.fill(b, e.hidden)
	}
	return nil
}

// Block applies the block once to each of the batch's rows.
func (e *Engine) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	if err := spec.CheckBatch(loopctl.StageBlock, b, &e.limits, e.block.ids >= 0); err != nil {
		return loopctl.RowInfo{}, err
	}
	rows, d := int64(b.Rows), int64(e.m.HiddenSize)
	s := &e.block
	e.hidden.gather(b, e.rows.hiddenIn)
	s.call.In(s.hiddenIn, e.rows.hiddenIn, rows, d)
	if s.injectIn >= 0 {
		e.inject.gather(b, e.rows.inject)
		s.call.In(s.injectIn, e.rows.inject, rows, d)
	}
	if s.ids >= 0 {
		packTokens(b, e.rows.ids.I64())
		s.call.In(s.ids, e.rows.ids, rows)
	}
	if s.depth >= 0 {
		packDepth(b, e.rows.depth.I64())
		s.call.In(s.depth, e.rows.depth, rows)
	}
	s.call.Out(s.hidden, e.rows.hiddenOut, rows, d)
	s.call.Out(s.delta, e.rows.delta, rows)
	if s.gate >= 0 {
		s.call.Out(s.gate, e.rows.gate, rows)
	}
	if err := s.run(b, &e.meta); err != nil {
		return loopctl.RowInfo{}, err
	}
	e.hidden.scatter(b, e.rows.hiddenOut)
	info := loopctl.RowInfo{Delta: e.rows.delta.F32()[:rows:rows]}
	if s.gate >= 0 {
		info.Gate = e.rows.gate.F32()[:rows:rows]
	}
	return info, nil
}

// Coda runs the coda's layers on the batch's rows and gives the logits of the rows that ask for them. Each view is
// good until the next Coda.
func (e *Engine) Coda(b *loopctl.Batch) ([][]float32, error) {
	if err := spec.CheckBatch(loopctl.StageCoda, b, &e.limits, e.coda.ids >= 0); err != nil {
		return nil, err
	}
	rows, d, vocab := int64(b.Rows), int64(e.m.HiddenSize), e.m.VocabSize
	s := &e.coda
	m := packLogitRows(b, e.rows.logitRows.I64())
	if m == 0 && e.m.Coda.Layers == 0 {
		return e.views[:0], nil // nothing to write and nothing to read
	}
	e.hidden.gather(b, e.rows.hiddenIn)
	s.call.In(s.hiddenIn, e.rows.hiddenIn, rows, d)
	if s.ids >= 0 { // value embeddings look the token up again
		packTokens(b, e.rows.ids.I64())
		s.call.In(s.ids, e.rows.ids, rows)
	}
	s.call.In(s.logitRows, e.rows.logitRows, int64(m))
	s.call.Out(s.logits, e.rows.logits, int64(m), int64(vocab))
	if s.finalHidden >= 0 {
		s.call.Out(s.finalHidden, e.rows.finalHidden, int64(m), d)
	}
	if err := s.run(b, &e.meta); err != nil {
		return nil, err
	}
	all := e.rows.logits.F32()
	e.views = e.views[:0]
	for i := range m {
		e.views = append(e.views, all[i*vocab:(i+1)*vocab:(i+1)*vocab])
	}
	return e.views, nil
}
