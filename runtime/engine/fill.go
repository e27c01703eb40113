package engine

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
)

// Fill copies single rows of the block's KV memory between pages, all layers.
func (e *Engine) Fill(fills []loopctl.Fill) error {
	pages := e.limits.Pages[loopctl.StageBlock]
	for _, f := range fills {
		for _, p := range append([]int32{f.From}, f.To...) {
			if p < 0 || int(p) >= pages {
				return fmt.Errorf("fill: page %d outside 0…%d", p, pages-1)
			}
		}
	}
	return fmt.Errorf("fill: not possible on this arena")
}

// HiddenSize is the length of a latent.
func (e *Engine) HiddenSize() int { return e.m.HiddenSize }
