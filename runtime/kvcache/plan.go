package kvcache

import (
	"errors"
	"fmt"
)

// ErrBudget says that the memory budget is too small for the model.
var ErrBudget = errors.New("kv memory too small")

// Shape is what decides a page's size.
type Shape struct {
	Layers, PageSize, KVHeads, HeadDim int
	Precision                          Precision
}

// PageBytes is the memory of one page: K and V of PageSize tokens in all layers.
func (s Shape) PageBytes() int64 { return s.TokenBytes() * int64(s.PageSize) }

// TokenBytes is the memory of one token in one plane: K and V in all layers.
func (s Shape) TokenBytes() int64 {
	head := s.Precision.headElements(s.HeadDim) * s.Precision.Element().Size()
	return 2 * int64(s.Layers) * int64(s.KVHeads) * int64(head)
}

// Plan divides budget bytes among the stages (prelude, block, coda): prelude and coda have one plane for each
// sequence, the block has as many as its loops and the KV policy make it, of them `typical` for a typical request and `atMost`
// for any. It gives the pages of each stage, 0 where a stage has no layers, and never more than
// tokens tokens could use. ErrBudget: the budget does not hold a single page of each plane.
func Plan(budget int64, stages [3]Shape, typical, atMost, tokens int) ([3]int, error) {
	planes := [3]int64{1, int64(typical), 1}
	most := [3]int64{1, int64(atMost), 1}
	var perPage int64 // bytes of one page in every plane of a typical request
	for i, s := range stages {
		perPage += planes[i] * s.PageBytes()
	}
	var out [3]int
	if perPage == 0 {
		return out, nil
	}
	n := budget / perPage
	if n < 1 {
		return out, fmt.Errorf("%w: %d bytes, but one page of %d tokens in %d per-loop KV caches takes %d: raise kv_memory",
			ErrBudget, budget, stages[1].PageSize, typical, perPage)
	}
	for i, s := range stages {
		if s.Layers > 0 {
			useful := int64((tokens + s.PageSize - 1) / s.PageSize)
			out[i] = int(min(n*planes[i], useful*most[i]))
		}
	}
	return out, nil
}
