package export

import (
	"bufio"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
)

// attentionSpec is what all layers of a model share.
type attentionSpec struct {
	heads, kvHeads, headDim int
	cos, sin                []float32 // [context, head_dim/2]
	interleaved             bool      // RoPE turns neighbours instead of halves
	headNorm                float64   // epsilon of a gainless RMSNorm per head after RoPE; 0: none
}

func (a attentionSpec) shape() bundle.Attention {
	return bundle.Attention{Heads: a.heads, KVHeads: a.kvHeads, HeadDim: a.headDim}
}

// paging declares the inputs that a graph with attention layers takes.
func (a attentionSpec) paging(b *builder, g *onnx.Graph) {
	for _, name := range []string{"key_cache", "value_cache"} {
		g.Input(name, b.port, a.cache()...)
	}
	g.Input("cumulative_sequence_length", onnx.Int32, onnx.Dynamic("spans_plus_1"))
	g.Input("past_seqlens", onnx.Int32, onnx.Dynamic("spans"))
	g.Input("block_table", onnx.Int32, onnx.Dynamic("spans"), onnx.Dynamic("max_pages"))
}

func (a attentionSpec) cache() []onnx.Dim {
	return []onnx.Dim{onnx.Dynamic("slabs"), onnx.Dynamic("page_size"), onnx.Fixed(a.kvHeads), onnx.Fixed(a.headDim)}
}

// attend appends one layer's attention over query, key, value, or over packed ones where the last two are "".
func (b *builder) attend(g *onnx.Graph, a attentionSpec, qkv []string, layer, layers int) string {
	if b.cuda() {
		return b.attendCUDA(g, a, qkv, layer, layers)
	}
	flag := map[bool]int{true: 1}
	attrs := []onnx.Attr{
		{Name: "num_heads", V: a.heads},
		{Name: "kv_num_heads", V: a.kvHeads},
		{Name: "layer", V: layer},
		{Name: "num_layers", V: layers},
		{Name: "do_rotary", V: 1},
		{Name: "rotary_interleaved", V: flag[a.interleaved]},
	}
	if a.headNorm > 0 {
		when := 2 // after RoPE
		if b.opt.emulate {
			when = 1 // before it, as CUDA's operator norms
		}
		attrs = append(attrs, onnx.Attr{Name: "qk_norm", V: when}, onnx.Attr{Name: "qk_norm_epsilon", V: a.headNorm})
	}
	cos, sin := b.ropeTables(g, a)
	inputs := make([]string, 0, 10)
	for _, x := range qkv {
		if x != "" {
			x = b.up(g, x)
		}
		inputs = append(inputs, x)
	}
	inputs = append(inputs, "key_cache", "value_cache", "cumulative_sequence_length", "past_seqlens", "block_table", b.up(g, cos), b.up(g, sin))
	return b.down(g, g.Node(onnx.Loopserve, "PagedAttention", inputs, attrs...))
}

// ropeTables are cos and sin in the activations' type.
func (b *builder) ropeTables(g *onnx.Graph, a attentionSpec) (cos, sin string) {
	half := int64(a.headDim / 2)
	positions := int64(len(a.cos)) / half
	return b.numbers(g, b.act, "rope_cos", a.cos, positions, half), b.numbers(g, b.act, "rope_sin", a.sin, positions, half)
}

// floats is a computed float32 initializer, in the data file once for all graphs.
func (b *builder) floats(g *onnx.Graph, name string, values []float32, dims ...int64) string {
	return b.numbers(g, onnx.Float, name, values, dims...)
}

// numbers is floats, rounded to a type. A name has one type in all graphs.
func (b *builder) numbers(g *onnx.Graph, t onnx.Type, name string, values []float32, dims ...int64) string {
	place := b.put(name, func(w *bufio.Writer) (int64, error) { return writeAs(w, t, values) })
	return g.External(name, t, place, dims...)
}
