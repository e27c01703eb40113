package export

import (
	"bufio"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// sum is an addition that is not in the graph yet: a norm that follows takes it into its own node.
type sum struct{ x, branch, output string }

// add appends x + branch. The node is written by the norm that reads it (in one with it), or by flush.
func (b *builder) add(g *onnx.Graph, x, branch string) string {
	b.flush(g)
	b.pending = &sum{x, branch, g.Name("Add")}
	return b.pending.output
}

// flush writes an addition that no norm has taken.
func (b *builder) flush(g *onnx.Graph) {
	if s := b.pending; s != nil {
		g.NodeTo("", "Add", []string{s.x, s.branch}, []string{s.output})
		b.pending = nil
	}
}

// norm appends x·rsqrt(mean x² + eps)·gain, together with the addition that makes x where that has just been added.
// With 16-bit activations it is float32 between two casts: the runtime's node for both sums the squares of float16 in
// float16, and the casts also keep its optimizer from making that node.
func (b *builder) norm(g *onnx.Graph, x string, gain *safetensors.Tensor) string {
	eps := onnx.Attr{Name: "epsilon", V: b.eps}
	if s := b.pending; s != nil && s.output == x && b.act == onnx.Float {
		b.pending = nil
		out := g.Name("SkipSimplifiedLayerNormalization")
		g.NodeTo(onnx.Microsoft, "SkipSimplifiedLayerNormalization", []string{s.x, s.branch, b.vector(g, gain)},
			[]string{out, "", "", s.output}, eps)
		return out
	}
	b.flush(g)
	return b.down(g, g.Node("", "SimplifiedLayerNormalization", []string{b.up(g, x), b.vector(g, gain)},
		onnx.Attr{Name: "axis", V: -1}, eps, onnx.Attr{Name: "stash_type", V: 1}))
}

// vector is a one-dimensional float32 initializer.
func (b *builder) vector(g *onnx.Graph, t *safetensors.Tensor) string {
	place := b.put(t.Name, func(w *bufio.Writer) (int64, error) {
		values, err := t.Floats()
		if err != nil {
			return 0, err
		}
		return writeFloats(w, values)
	})
	return g.External(t.Name, onnx.Float, place, t.Len())
}

// relativeChange appends delta = ‖h′−h‖/‖h′‖ for each row. The floor keeps a zero state from dividing by zero.
func (b *builder) relativeChange(g *onnx.Graph, before, after string) {
	axes := g.Ints("delta_axes", []int64{-1}, 1)
	floor := g.Floats("delta_floor", []float32{1e-30})
	keep := onnx.Attr{Name: "keepdims", V: 0}
	before, after = b.up(g, before), b.up(g, after)
	change := g.Node("", "ReduceL2", []string{g.Node("", "Sub", []string{after, before}), axes}, keep)
	size := g.Node("", "Max", []string{g.Node("", "ReduceL2", []string{after, axes}, keep), floor})
	g.NodeTo("", "Div", []string{change, size}, []string{"delta"})
	g.Output("delta", onnx.Float, onnx.Dynamic("rows"))
}
