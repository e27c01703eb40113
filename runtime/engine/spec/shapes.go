package spec

import (
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/kvcache"
)

// Shapes are those of the pages of prelude, block and coda. A paged bundle keeps KV in the precision that is asked for
// where its graphs are in float32, else in the graphs' own; a dense one keeps rows in float32. A stage without layers
// has pages of no bytes.
func Shapes(m *bundle.Manifest, pageSize int, precision kvcache.Precision) [3]kvcache.Shape {
	switch m.Precision.Activations {
	case "f16":
		precision = kvcache.F16
	case "bf16":
		precision = kvcache.BF16
	}
	var out [3]kvcache.Shape
	for i, g := range []bundle.Graph{m.Prelude, m.Block, m.Coda} {
		out[i] = kvcache.Shape{
			Layers: g.Layers, PageSize: pageSize,
			KVHeads: m.Attention.KVHeads, HeadDim: m.Attention.HeadDim, Precision: precision,
		}
		if m.Kind == bundle.KindDense {
			// A row's numbers of 4 bytes stand for the K and V of 2 bytes that a Shape counts.
			out[i] = kvcache.Shape{
				Layers: min(g.Layers, 1), PageSize: pageSize,
				KVHeads: 1, HeadDim: RowWidth(m, loopctl.Stage(i)), Precision: kvcache.F16,
			}
		}
	}
	return out
}

// RowWidth is how many numbers of 4 bytes a row of a dense bundle takes in a stage's pages: the token id in the
// prelude's, the state (and what is injected) in the block's, the state in the coda's.
func RowWidth(m *bundle.Manifest, s loopctl.Stage) int {
	switch {
	case s == loopctl.StagePrelude:
		return 1
	case s == loopctl.StageBlock && m.Inject:
		return m.StateWidth() + m.HiddenSize
	}
	return m.StateWidth()
}
