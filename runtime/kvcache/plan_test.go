package kvcache_test

import (
	"errors"
	"testing"

	"github.com/loopserve/loopserve/runtime/kvcache"
)

func TestPlan(t *testing.T) {
	// 2 layers × 2 KV heads × 8 numbers × (K and V) × 4 bytes = 256 bytes a token, 4096 a page
	layer := kvcache.Shape{Layers: 2, PageSize: 16, KVHeads: 2, HeadDim: 8}
	none := kvcache.Shape{PageSize: 16, KVHeads: 2, HeadDim: 8}
	if got := layer.PageBytes(); got != 4096 {
		t.Fatalf("a page takes %d bytes, want 4096", got)
	}
	for _, c := range []struct {
		name     string
		budget   int64
		stages   [3]kvcache.Shape
		loops    int
		maxLoops int
		tokens   int
		want     [3]int
		err      error
	}{
		{"block alone", 10 * 4096, [3]kvcache.Shape{none, layer, none}, 2, 4, 1000, [3]int{0, 10, 0}, nil},
		{"rest is left", 11 * 4096, [3]kvcache.Shape{none, layer, none}, 2, 4, 1000, [3]int{0, 10, 0}, nil},
		{"all three: 1 + 4 + 1 planes", 12 * 4096, [3]kvcache.Shape{layer, layer, layer}, 4, 8, 1000, [3]int{2, 8, 2}, nil},
		{"no more than can be used", 1 << 40, [3]kvcache.Shape{layer, layer, none}, 4, 8, 17, [3]int{2, 16, 0}, nil},
		{"no layers, no pages", 1 << 20, [3]kvcache.Shape{none, none, none}, 4, 8, 17, [3]int{}, nil},
		{"not one page", 4095, [3]kvcache.Shape{none, layer, none}, 1, 4, 1000, [3]int{}, kvcache.ErrBudget},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := kvcache.Plan(c.budget, c.stages, c.loops, c.maxLoops, c.tokens)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %v, %v; want %v, %v", got, err, c.want, c.err)
			}
		})
	}
}
