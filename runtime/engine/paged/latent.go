package paged

import "fmt"

// Latent copies a slot's state, as the last call left it, into dst of hidden_size float32.
func (e *Engine) Latent(slot int32, dst []float32) error {
	if e.elementSize() != 4 {
		return fmt.Errorf("latents of type %s cannot be read, only those of type f32", e.m.Precision.Activations)
	}
	d := e.m.HiddenSize
	if slot < 0 || int(slot) >= e.opt.Latents || len(dst) != d {
		return fmt.Errorf("latent slot %d into %d numbers: slots are 0…%d and have %d numbers", slot, len(dst), e.opt.Latents-1, d)
	}
	copy(dst, e.hidden.mem.F32()[int(slot)*d:])
	return nil
}

// FinalHidden is what the head was applied to in the last Coda, for its i-th row of logits; nil where the graph does
// not give it. It is the engine's memory, good until the next Coda.
func (e *Engine) FinalHidden(i int) []float32 {
	if e.coda.finalHidden < 0 {
		return nil
	}
	d := e.m.HiddenSize
	return e.rows.finalHidden.F32()[i*d : (i+1)*d : (i+1)*d]
}

// HiddenSize is the length of a latent.
func (e *Engine) HiddenSize() int { return e.m.HiddenSize }
