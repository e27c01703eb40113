package export

import (
	"bufio"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// attentionSpec is what all layers of a model share.
type attentionSpec struct {
	heads, kvHeads, headDim int
	cos, sin                []float32 // [context, rotary/2]
	rotary                  int
	interleaved             bool
}

func (a attentionSpec) shape() bundle.Attention {
	return bundle.Attention{Heads: a.heads, KVHeads: a.kvHeads, HeadDim: a.headDim}
}

// paging declares the inputs that a graph with attention layers takes.
func (a attentionSpec) paging(g *onnx.Graph) {
	cache := []onnx.Dim{onnx.Dynamic("slabs"), onnx.Dynamic("page_size"), onnx.Fixed(a.kvHeads), onnx.Fixed(a.headDim)}
	g.Input("key_cache", onnx.Float, cache...)
	g.Input("value_cache", onnx.Float, cache...)
	g.Input("cumulative_sequence_length", onnx.Int32, onnx.Dynamic("spans_plus_1"))
	g.Input("past_seqlens", onnx.Int32, onnx.Dynamic("spans"))
	g.Input("block_table", onnx.Int32, onnx.Dynamic("spans"), onnx.Dynamic("max_pages"))
}

// attend appends one layer's attention over packed q|k|v.
func (b *builder) attend(g *onnx.Graph, a attentionSpec, qkv string, layer, layers int) string {
	half := int64(a.rotary / 2)
	cos, sin := "", ""
	if half > 0 {
		positions := int64(len(a.cos)) / half
		cos = b.table(g, "rope_cos", a.cos, positions, half)
		sin = b.table(g, "rope_sin", a.sin, positions, half)
	}
	flag := map[bool]int{true: 1}
	return g.Node(onnx.Loopserve, "PagedAttention", []string{
		qkv, "", "", "key_cache", "value_cache", "cumulative_sequence_length", "past_seqlens", "block_table", cos, sin,
	},
		onnx.Attr{Name: "num_heads", V: a.heads}, onnx.Attr{Name: "kv_num_heads", V: a.kvHeads},
		onnx.Attr{Name: "layer", V: layer}, onnx.Attr{Name: "num_layers", V: layers},
		onnx.Attr{Name: "do_rotary", V: flag[half > 0]}, onnx.Attr{Name: "rotary_interleaved", V: flag[a.interleaved]})
}

// table is a computed float32 matrix, written once for all graphs and declared once in each.
func (b *builder) table(g *onnx.Graph, name string, values []float32, dims ...int64) string {
	if b.seen[g] == nil {
		b.seen[g] = map[string]bool{}
	}
	if !b.seen[g][name] {
		b.seen[g][name] = true
		place := b.put(name, func(w *bufio.Writer) (int64, error) { return writeFloats(w, values) })
		g.External(name, onnx.Float, place, dims...)
	}
	return name
}

// llamaLayer is one pre-norm decoder layer's tensors.
type llamaLayer struct {
	norm1, norm2, q, k, v, o, gate, up, down *safetensors.Tensor
}

// llamaStack appends layers on h: x ← x + Attn(N1 x); x ← x + MLP(N2 x). The last sum gets the name output.
func (b *builder) llamaStack(g *onnx.Graph, a attentionSpec, h string, layers []llamaLayer, eps float64, output string) {
	normed := b.rmsNorm(g, h, layers[0].norm1, eps)
	for i, l := range layers {
		qkv := b.linear(g, normed, b.opt.Weights, l.q, l.k, l.v)
		branch := b.linear(g, b.attend(g, a, qkv, i, len(layers)), b.opt.Weights, l.o)
		normed, h = b.addNorm(g, h, branch, l.norm2, eps)
		branch = b.swiGLU(g, normed, l.gate, l.up, l.down)
		if i+1 < len(layers) {
			normed, h = b.addNorm(g, h, branch, layers[i+1].norm1, eps)
		} else {
			g.NodeTo("", "Add", []string{h, branch}, []string{output})
		}
	}
}
