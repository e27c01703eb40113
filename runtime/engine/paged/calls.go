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
	rows, d, state := int64(b.Rows), int64(e.m.HiddenSize), int64(e.m.StateWidth())
	s := &e.prelude
	e.pack(s, b)
	s.Out("hidden", e.rows.hiddenOut, rows, state)
	s.Out("inject", e.rows.inject, rows, d)
	if err := s.run(b, &e.meta); err != nil {
		return err
	}
	if s.Gives("inject") {
		e.inject.scatter(b, e.rows.inject)
	}
	if s.Gives("hidden") {
		e.hidden.scatter(b, e.rows.hiddenOut)
	} else {
		e.state.fill(b, &e.hidden)
	}
	return nil
}

// Block applies the block once to each of the batch's rows.
func (e *Engine) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	if err := spec.CheckBatch(loopctl.StageBlock, b, &e.limits, e.block.Reads("input_ids")); err != nil {
		return loopctl.RowInfo{}, err
	}
	rows, state := int64(b.Rows), int64(e.m.StateWidth())
	s := &e.block
	e.pack(s, b)
	s.Out("hidden_out", e.rows.hiddenOut, rows, state)
	s.Out("delta", e.rows.delta, rows)
	s.Out("gate", e.rows.gate, rows)
	if err := s.run(b, &e.meta); err != nil {
		return loopctl.RowInfo{}, err
	}
	e.hidden.scatter(b, e.rows.hiddenOut)
	info := loopctl.RowInfo{Delta: e.rows.delta.F32()[:rows:rows]}
	if s.Gives("gate") {
		info.Gate = e.rows.gate.F32()[:rows:rows]
	}
	return info, nil
}

// Coda runs the coda's layers on the batch's rows and gives the logits of the rows that ask for them. Each view is
// good until the next Coda.
func (e *Engine) Coda(b *loopctl.Batch) ([][]float32, error) {
	if err := spec.CheckBatch(loopctl.StageCoda, b, &e.limits, e.coda.Reads("input_ids")); err != nil {
		return nil, err
	}
	d, vocab := int64(e.m.HiddenSize), e.m.VocabSize
	s := &e.coda
	m := packLogitRows(b, e.rows.logitRows.I64())
	if m == 0 && e.m.Coda.Layers == 0 {
		return e.views[:0], nil // nothing to write and nothing to read
	}
	e.pack(s, b)
	s.In("logit_rows", e.rows.logitRows, int64(m))
	s.Out("logits", e.rows.logits, int64(m), int64(vocab))
	s.Out("final_hidden", e.rows.finalHidden, int64(m), d)
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

// pack binds what a graph reads of the batch's rows: their latents, and numbers of which each stage may read any. Value
// embeddings look the token up in every stage.
func (e *Engine) pack(s *stage, b *loopctl.Batch) {
	rows := int64(b.Rows)
	if s.Reads("hidden") {
		e.hidden.gather(b, e.rows.hiddenIn)
		s.In("hidden", e.rows.hiddenIn, rows, int64(e.m.StateWidth()))
	}
	if s.Reads("inject") {
		e.inject.gather(b, e.rows.inject)
		s.In("inject", e.rows.inject, rows, int64(e.m.HiddenSize))
	}
	if s.Reads("input_ids") {
		packRows(b, e.rows.ids.I64(), func(s *loopctl.Span, i int) int64 { return int64(s.Tokens[i]) })
		s.In("input_ids", e.rows.ids, rows)
	}
	if s.Reads("position_ids") {
		packRows(b, e.rows.positions.I64(), func(s *loopctl.Span, i int) int64 { return int64(s.Past + i) })
		s.In("position_ids", e.rows.positions, rows)
	}
	if s.Reads("depth") {
		packRows(b, e.rows.depth.I64(), func(s *loopctl.Span, _ int) int64 { return int64(s.Depth) })
		s.In("depth", e.rows.depth, rows)
	}
	if s.Reads("time") {
		packRows(b, e.rows.time.F32(), func(s *loopctl.Span, _ int) float32 { return s.Time })
		s.In("time", e.rows.time, rows)
	}
	if s.Reads("step") {
		packRows(b, e.rows.step.F32(), func(s *loopctl.Span, _ int) float32 { return s.Step })
		s.In("step", e.rows.step, rows)
	}
}
