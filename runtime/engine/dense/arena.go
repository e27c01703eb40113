package dense

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/ort"
)

// arena is the memory of one stage's pages: rows of width numbers, off-heap, allocated once. A call writes the rows that
// it is given before it reads any.
type arena struct {
	mem             *ort.Buffer // nil where the stage has no layers
	width, pageSize int
}

// floats is a row of states.
func (a *arena) floats(pages []int32, position int) []float32 {
	at := a.at(pages[position/a.pageSize], position)
	return a.mem.F32()[at : at+a.width : at+a.width]
}

// id is the place of a row's token id.
func (a *arena) id(pages []int32, position int) *int32 {
	return &a.mem.I32()[a.at(pages[position/a.pageSize], position)]
}

func (a *arena) at(page int32, position int) int {
	return (int(page)*a.pageSize + position%a.pageSize) * a.width
}

// Fill copies single rows of the block between pages: what a row looked like before its last loop is what later tokens
// see of it in the loops that it did not do. A page that the arena doesn't have is an error, and nothing is copied then.
func (e *Engine) Fill(fills []loopctl.Fill) error {
	a := &e.block.pages
	if len(fills) == 0 {
		return nil
	}
	if a.mem == nil {
		return fmt.Errorf("KV propagation: the block of %s has no layers, so no pages", e.m.Name)
	}
	if err := spec.CheckFills(fills, &e.limits); err != nil {
		return err
	}
	mem := a.mem.F32()
	for _, f := range fills {
		from := a.at(f.From, f.Position)
		for _, p := range f.To {
			to := a.at(p, f.Position)
			copy(mem[to:to+a.width], mem[from:from+a.width])
		}
	}
	return nil
}
