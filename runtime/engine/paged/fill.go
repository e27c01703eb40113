package paged

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/engine/spec"
)

// fillRows is how many rows of the arena one copy takes at most.
const fillRows = 4096

// filler holds the arena rows of a Fill, used again and again.
type filler struct{ from, to []int64 }

// Fill copies the K and V of single rows of the block between pages, all layers. No fill of a call may read what
// another one writes. A page that the arena doesn't have is an error, and nothing is copied then.
func (e *Engine) Fill(fills []loopctl.Fill) error {
	a := e.block.arena
	if len(fills) == 0 {
		return nil
	}
	if a == nil {
		return fmt.Errorf("KV propagation: the block of %s has no layers, so no KV memory", e.m.Name)
	}
	if err := spec.CheckFills(fills, &e.limits); err != nil {
		return err
	}
	rows := &e.filler
	rows.from, rows.to = rows.from[:0], rows.to[:0]
	for i := range fills {
		f := &fills[i]
		for _, p := range f.To {
			for layer := range e.m.Block.Layers {
				if len(rows.from) == fillRows {
					if err := e.copyRows(); err != nil {
						return err
					}
				}
				rows.from = append(rows.from, a.Row(f.From, layer, f.Position))
				rows.to = append(rows.to, a.Row(p, layer, f.Position))
			}
		}
	}
	return e.copyRows()
}

// copyRows does the copies that were noted, for keys and for values.
func (e *Engine) copyRows() error {
	rows := &e.filler
	if len(rows.from) == 0 {
		return nil
	}
	err := e.block.arena.CopyRows(rows.from, rows.to)
	rows.from, rows.to = rows.from[:0], rows.to[:0]
	if err != nil {
		return fmt.Errorf("KV propagation: %w", err)
	}
	return nil
}
