package parity

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
)

// Promise is what one stage of a bundle was seen to do: the largest difference, relative to the largest number, between
// a sequence in one call and the same one token by token.
type Promise struct {
	Stage loopctl.Stage
	Diff  float64
}

// kept is the rounding that two shapes of one product may differ by.
const kept = 1e-3

// OK reports whether the stage keeps the promise that everything rests on: a row depends on itself and, in a stage with
// layers, on the rows before it.
func (p Promise) OK() bool { return p.Diff <= kept }

// Remedy says what to do where it is not kept.
func (p Promise) Remedy(layers int) string {
	if layers == 0 {
		return fmt.Sprintf("%s.layers is 0, which promises that a row depends on itself (and position_ids) alone, and this one depends on other rows "+
			"or on its place in the call: take position_ids as an input, or set %s.layers to 1", p.Stage, p.Stage)
	}
	return fmt.Sprintf("the %s lets a row see later ones, or numbers the rows of a call by itself: mask its attention causally "+
		"(scaled_dot_product_attention: is_causal=True), take position_ids as an input", p.Stage)
}

// Promises tries the bundle on a few tokens, once whole and once token by token, stage after stage as far as they agree.
func Promises(e Engine) ([]Promise, error) {
	l := e.Capacity()
	tokens := make([]int32, min(9, l.Context, l.MaxRows, l.Latents))
	for i := range tokens {
		tokens[i] = int32((5*i*i + 7*i + 1) % l.Vocab)
	}
	loops := l.Loops.Min
	whole, err := record(e, tokens, len(tokens), 0, loops, false, nil)
	if err != nil {
		return nil, err
	}
	single, err := record(e, tokens, 1, 0, loops, false, nil)
	if err != nil {
		return nil, err
	}
	var out []Promise
	for stage, made := range []func(r *row) []float32{
		func(r *row) []float32 { return r.states[0] },
		func(r *row) []float32 { return r.states[loops] },
		(*row).last,
	} {
		largest, diff := 0.0, 0.0
		for i := range whole {
			numbers := made(&whole[i])
			diff = max(diff, far(numbers, made(&single[i])))
			largest = max(largest, far(numbers, make([]float32, len(numbers))))
		}
		p := Promise{loopctl.Stage(stage), diff / max(largest, 1e-30)}
		out = append(out, p)
		if !p.OK() {
			break // what comes after it differs for this reason
		}
	}
	return out, nil
}
