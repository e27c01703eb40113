package paged

import (
	"errors"

	"github.com/loopserve/loopserve/runtime/ort"
)

// rowBuffers are the packed inputs and outputs of calls, one entry for each row of the largest call. A call's method
// writes the inputs, the native call the outputs; both are good until the next call of any stage.
type rowBuffers struct {
	ids, depth, logitRows *ort.Buffer // int64 [rows]
	hiddenIn, hiddenOut   *ort.Buffer // [rows, d]
	inject                *ort.Buffer // [rows, d]
	delta, gate           *ort.Buffer // float32 [rows]
	logits                *ort.Buffer // float32 [rows, vocab]
	finalHidden           *ort.Buffer // float32 [rows, d]; nil where the coda does not give it
}

func (r *rowBuffers) close() error {
	return closeAll(r.ids, r.depth, r.logitRows, r.hiddenIn, r.hiddenOut, r.inject, r.delta, r.gate, r.logits, r.finalHidden)
}

// allocate makes every buffer, for the largest call. The system gives physical memory only to what is written, so a
// large vocabulary costs no more than the rows that are sampled.
func (e *Engine) allocate() (err error) {
	vector := e.m.HiddenSize * e.elementSize()
	rows := e.opt.MaxRows
	pages := (e.opt.Context + e.opt.PageSize - 1) / e.opt.PageSize
	if e.hidden, err = newSlots(e.opt.Latents, vector); err != nil {
		return err
	}
	if e.m.Inject {
		if e.inject, err = newSlots(e.opt.Latents, vector); err != nil {
			return err
		}
	}
	for _, b := range []struct {
		to    **ort.Buffer
		bytes int
	}{
		{&e.rows.ids, rows * 8},
		{&e.rows.depth, rows * 8},
		{&e.rows.logitRows, rows * 8},
		{&e.rows.hiddenIn, rows * vector},
		{&e.rows.hiddenOut, rows * vector},
		{&e.rows.inject, rows * vector},
		{&e.rows.delta, rows * 4},
		{&e.rows.gate, rows * 4},
		{&e.rows.logits, rows * e.m.VocabSize * 4},
		{&e.rows.finalHidden, rows * e.m.HiddenSize * 4},
		{&e.meta.cumulative, (rows + 1) * 4},
		{&e.meta.past, rows * 4},
		{&e.meta.table, rows * pages * 4},
	} {
		if *b.to, err = ort.NewBuffer(b.bytes); err != nil {
			return err
		}
	}
	e.state = newInitialState(e.m)
	e.views = make([][]float32, 0, rows)
	return nil
}

func closeAll(buffers ...*ort.Buffer) error {
	var errs []error
	for _, b := range buffers {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}
