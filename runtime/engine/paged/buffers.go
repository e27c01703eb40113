package paged

import "github.com/loopserve/loopserve/runtime/ort"

// rowBuffers are the packed inputs and outputs of calls, one entry for each row of the largest call. A call's method
// writes the inputs, the native call the outputs; both are good until the next call of any stage.
type rowBuffers struct {
	ids, depth, positions *ort.Buffer // int64 [rows]
	logitRows             *ort.Buffer // int64 [rows]
	time, step            *ort.Buffer // float32 [rows]
	hiddenIn, hiddenOut   *ort.Buffer // [rows, state width]
	inject                *ort.Buffer // [rows, d]
	delta, gate           *ort.Buffer // float32 [rows]
	logits                *ort.Buffer // float32 [rows, vocab]
	finalHidden           *ort.Buffer // float32 [rows, d]
}

// allocate makes every buffer, for the largest call. The system gives physical memory only to what is written, so a
// large vocabulary costs no more than the rows that are sampled.
func (e *Engine) allocate() error {
	state, vector := e.m.StateWidth()*e.elementSize(), e.m.HiddenSize*e.elementSize()
	l, rows := &e.limits, e.limits.MaxRows
	pages := (l.Context + l.PageSize - 1) / l.PageSize
	m := &e.memory
	e.hidden = slots{mem: m.New(l.Latents * state), bytes: state}
	if e.m.Inject {
		e.inject = slots{mem: m.New(l.Latents * vector), bytes: vector}
	}
	e.rows = rowBuffers{
		ids: m.New(rows * 8), depth: m.New(rows * 8), positions: m.New(rows * 8), logitRows: m.New(rows * 8),
		time: m.New(rows * 4), step: m.New(rows * 4),
		hiddenIn: m.New(rows * state), hiddenOut: m.New(rows * state), inject: m.New(rows * vector),
		delta: m.New(rows * 4), gate: m.New(rows * 4),
		logits: m.New(rows * e.m.VocabSize * 4), finalHidden: m.New(rows * e.m.HiddenSize * 4),
	}
	e.meta = metadata{cumulative: m.New((rows + 1) * 4), past: m.New(rows * 4), visible: m.New(rows * 4), table: m.New(rows * pages * 4)}
	e.state = newInitialState(e.m)
	e.views = make([][]float32, 0, rows)
	return m.Err()
}
