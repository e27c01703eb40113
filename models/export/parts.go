package export

import (
	"bufio"
	"math"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// rmsNorm appends x·rsqrt(mean x² + eps)·gain.
func (b *builder) rmsNorm(g *onnx.Graph, x string, gain *safetensors.Tensor, eps float64) string {
	return g.Node("", "SimplifiedLayerNormalization", []string{x, b.vector(g, gain)},
		onnx.Attr{Name: "axis", V: -1}, onnx.Attr{Name: "epsilon", V: eps}, onnx.Attr{Name: "stash_type", V: 1})
}

// addNorm appends sum = x + branch and its norm, in one node. It returns (norm, sum).
func (b *builder) addNorm(g *onnx.Graph, x, branch string, gain *safetensors.Tensor, eps float64) (string, string) {
	out := g.NodeN(onnx.Microsoft, "SkipSimplifiedLayerNormalization", []string{x, branch, b.vector(g, gain)}, 4,
		onnx.Attr{Name: "epsilon", V: eps})
	return out[0], out[3]
}

// vector is a one-dimensional float32 initializer.
func (b *builder) vector(g *onnx.Graph, t *safetensors.Tensor) string {
	if b.seen[g] == nil {
		b.seen[g] = map[string]bool{}
	}
	if b.seen[g][t.Name] {
		return t.Name
	}
	b.seen[g][t.Name] = true
	place := b.put(t.Name, func(w *bufio.Writer) (int64, error) {
		values, err := t.Floats()
		if err != nil {
			return 0, err
		}
		return writeFloats(w, values)
	})
	return g.External(t.Name, onnx.Float, place, t.Len())
}

// embedding appends the rows of the table that the ids name.
func (b *builder) embedding(g *onnx.Graph, ids string, table *safetensors.Tensor, output string) {
	place := b.put(table.Name, func(w *bufio.Writer) (int64, error) {
		total := int64(0)
		err := rows([]*safetensors.Tensor{table}, func(row []float32) error {
			n, err := writeFloats(w, row)
			total += n
			return err
		})
		return total, err
	})
	g.NodeTo("", "Gather", []string{g.External(table.Name, onnx.Float, place, table.Shape...), ids}, []string{output},
		onnx.Attr{Name: "axis", V: 0})
}

// swiGLU appends W_down(silu(W_gate x) ⊙ W_up x), gate and up in one product.
func (b *builder) swiGLU(g *onnx.Graph, x string, gate, up, down *safetensors.Tensor) string {
	both := b.linear(g, x, b.opt.Weights, gate, up)
	halves := g.NodeN("", "Split", []string{both}, 2, onnx.Attr{Name: "axis", V: 1}, onnx.Attr{Name: "num_outputs", V: 2})
	// QuickGelu with alpha 1 is x·σ(x), silu, in one node.
	act := g.Node(onnx.Microsoft, "QuickGelu", []string{halves[0]}, onnx.Attr{Name: "alpha", V: 1.0})
	return b.linear(g, g.Node("", "Mul", []string{act, halves[1]}), b.opt.Weights, down)
}

// relativeChange appends delta = ‖h′−h‖/‖h′‖ for each row. The floor keeps a zero state from dividing by zero.
func (b *builder) relativeChange(g *onnx.Graph, before, after string) {
	axes := g.Ints("delta_axes", []int64{-1}, 1)
	floor := g.Floats("delta_floor", []float32{1e-30})
	keep := onnx.Attr{Name: "keepdims", V: 0}
	change := g.Node("", "ReduceL2", []string{g.Node("", "Sub", []string{after, before}), axes}, keep)
	size := g.Node("", "Max", []string{g.Node("", "ReduceL2", []string{after, axes}, keep), floor})
	g.NodeTo("", "Div", []string{change, size}, []string{"delta"})
	g.Output("delta", onnx.Float, onnx.Dynamic("rows"))
}

// ropeTables gives cos and sin [positions, dim/2], always from the config and in float64: checkpoints store them in
// whatever precision, or not at all.
func ropeTables(inverse []float64, positions int, factor float64) (cos, sin []float32) {
	for p := range positions {
		for _, f := range inverse {
			s, c := math.Sincos(float64(p) * f)
			cos, sin = append(cos, float32(c*factor)), append(sin, float32(s*factor))
		}
	}
	return cos, sin
}

// inverseFrequencies are θ^(−2i/dim).
func inverseFrequencies(theta float64, dim int) []float64 {
	out := make([]float64, dim/2)
	for i := range out {
		out[i] = math.Pow(theta, -float64(2*i)/float64(dim))
	}
	return out
}
