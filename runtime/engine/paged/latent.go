package paged

import (
	"fmt"

	"github.com/loopserve/loopserve/runtime/engine/spec"
)

// Latent copies the first hidden_size numbers of a slot's state, as the last call left it, into dst.
func (e *Engine) Latent(slot int32, dst []float32) error {
	if e.elementSize() != 4 {
		return fmt.Errorf("hidden states of type %s cannot be read, only those of type f32", e.m.Precision.Activations)
	}
	if err := spec.CheckLatent(slot, dst, &e.limits, e.m); err != nil {
		return err
	}
	copy(dst, e.hidden.mem.F32()[int(slot)*e.m.StateWidth():])
	return nil
}

// FinalHidden is what the head was applied to in the last Coda, for its i-th row of logits; nil where the graph does
// not give it. It is the engine's memory, good until the next Coda.
func (e *Engine) FinalHidden(i int) []float32 {
	if !e.coda.Gives("final_hidden") {
		return nil
	}
	d := e.m.HiddenSize
	return e.rows.finalHidden.F32()[i*d : (i+1)*d : (i+1)*d]
}
