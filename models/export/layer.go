package export

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// placement says where a decoder layer's norms are.
type placement int

// The placements of the families. N1 … N4 are a layer's norms in the order of use.
const (
	preNorm        placement = iota // x ← x + A(N1 x);      x ← x + M(N2 x)
	branchSandwich                  // x ← x + N2(A(N1 x));  x ← x + N4(M(N3 x))
	sumSandwich                     // x ← N2(x + A(N1 x));  x ← N4(x + M(N3 x))
	branchPostNorm                  // x ← x + N1(A(x));     x ← x + N2(M(x))
)

// layer is one decoder layer's tensors.
type layer struct {
	norms []*safetensors.Tensor

	qkv          []*safetensors.Tensor // query, key, value: stacked to one product
	bias         string                // initializer [(heads+2·kv_heads)·head_dim] that is added to it, or ""
	qNorm, kNorm *safetensors.Tensor   // RMSNorm over the whole width, before RoPE; nil: none
	headNorms    []*safetensors.Tensor // gains [head_dim] of an RMSNorm on each head of query and of key, before RoPE; nil: none
	o            *safetensors.Tensor
	oBias        string
	value        *valueEmbedding // nil: none
	window       int             // that its rows see, themselves included; 0: the model's
	unturned     bool            // no RoPE

	activation activation
	fc         []*safetensors.Tensor // gate and up stacked, or what is squared
	fcBias     string
	proj       *safetensors.Tensor
	projBias   string
}

// activation says what an MLP does between its products.
type activation int

// The activations of the families.
const (
	swiGLU     activation = iota // silu(first half) ⊙ second half
	halfSquare                   // ½·relu²
	gelu                         // exact: of the error function
)

// stack appends layers on h. after, where not nil, is a norm applied to what the last layer leaves. The result gets
// the name output.
func (b *builder) stack(g *onnx.Graph, a attentionSpec, p placement, h string, layers []layer, after *safetensors.Tensor, output string) {
	if len(layers) > 0 {
		a.paging(b, g)
	}
	for i, l := range layers {
		attend := func(x string) string { return b.attention(g, a, l, x, i, len(layers)) }
		mlp := func(x string) string { return b.mlp(g, l, x) }
		switch p {
		case preNorm:
			h = b.add(g, h, attend(b.norm(g, h, l.norms[0])))
			h = b.add(g, h, mlp(b.norm(g, h, l.norms[1])))
		case branchSandwich:
			h = b.add(g, h, b.norm(g, attend(b.norm(g, h, l.norms[0])), l.norms[1]))
			h = b.add(g, h, b.norm(g, mlp(b.norm(g, h, l.norms[2])), l.norms[3]))
		case sumSandwich:
			h = b.norm(g, b.add(g, h, attend(b.norm(g, h, l.norms[0]))), l.norms[1])
			h = b.norm(g, b.add(g, h, mlp(b.norm(g, h, l.norms[2]))), l.norms[3])
		case branchPostNorm:
			h = b.add(g, h, b.norm(g, attend(h), l.norms[0]))
			h = b.add(g, h, b.norm(g, mlp(h), l.norms[1]))
		}
	}
	if after != nil {
		h = b.norm(g, h, after)
	}
	b.named(g, h, output)
}

// named gives a result a name.
func (b *builder) named(g *onnx.Graph, h, output string) {
	if s := b.pending; s != nil && s.output == h {
		s.output = output
		b.flush(g)
		return
	}
	g.NodeTo("", "Identity", []string{h}, []string{output})
}

// attention appends one layer's attention branch on x.
func (b *builder) attention(g *onnx.Graph, a attentionSpec, l layer, x string, i, n int) string {
	qkv := biased(g, b.linear(g, x, b.opt.Weights, l.qkv...), l.bias)
	a.headGains, a.window = l.headNorms, cmp.Or(l.window, a.window)
	if l.unturned {
		a.cos, a.sin = nil, nil
	}
	if l.qNorm == nil && l.value == nil {
		return biased(g, b.linear(g, b.attend(g, a, []string{qkv, "", ""}, i, n), b.opt.Weights, l.o), l.oBias)
	}
	q, kv := int64(a.heads*a.headDim), int64(a.kvHeads*a.headDim)
	parts := g.NodeN("", "Split", []string{qkv, g.Ints("qkv_widths", []int64{q, kv, kv}, 3)}, 3, onnx.Attr{Name: "axis", V: 1})
	if l.qNorm != nil {
		parts[0], parts[1] = b.norm(g, parts[0], l.qNorm), b.norm(g, parts[1], l.kNorm)
	}
	if l.value != nil {
		parts[2] = b.addValues(g, a, *l.value, x, parts[2])
	}
	return biased(g, b.linear(g, b.attend(g, a, parts, i, n), b.opt.Weights, l.o), l.oBias)
}

// biased appends the addition of a bias, where there is one.
func biased(g *onnx.Graph, y, bias string) string {
	if bias == "" {
		return y
	}
	return g.Node("", "Add", []string{y, bias})
}

// mlp appends one layer's MLP branch on x.
func (b *builder) mlp(g *onnx.Graph, l layer, x string) string {
	if b.packs(b.opt.Weights) && l.activation == swiGLU && l.fcBias == "" && !b.opt.Unfused {
		b.flush(g)
		return biased(g, b.linear(g, b.packedLinear(g, x, b.opt.Weights, activationSwiGLU, l.fc), b.opt.Weights, l.proj), l.projBias)
	}
	wide := biased(g, b.linear(g, x, b.opt.Weights, l.fc...), l.fcBias)
	if l.activation == gelu {
		act := g.Node("", "Gelu", []string{b.up(g, wide)})
		return biased(g, b.linear(g, b.down(g, act), b.opt.Weights, l.proj), l.projBias)
	}
	if l.activation == halfSquare {
		r := b.up(g, g.Node("", "Relu", []string{wide})) // a square leaves float16's range at 256
		half := g.Node("", "Mul", []string{r, g.Floats("half", []float32{0.5})})
		return b.linear(g, b.down(g, g.Node("", "Mul", []string{r, half})), b.opt.Weights, l.proj)
	}
	halves := split(g, wide, 2)
	return biased(g, b.linear(g, g.Node("", "Mul", []string{b.silu(g, halves[0]), halves[1]}), b.opt.Weights, l.proj), l.projBias)
}

// silu appends x·σ(x), which is QuickGelu with alpha 1, in one node.
func (b *builder) silu(g *onnx.Graph, x string) string {
	return g.Node(onnx.Microsoft, "QuickGelu", []string{x}, onnx.Attr{Name: "alpha", V: 1.0})
}

// valueEmbedding adds 2σ(gate·x[:k]) ⊙ table[ids] to the values of a layer, one gate for each key-value head.
type valueEmbedding struct {
	ids   string // int64 [rows]
	table *safetensors.Tensor
	gate  *safetensors.Tensor // [kv_heads, k]
}

func (b *builder) addValues(g *onnx.Graph, a attentionSpec, v valueEmbedding, x, values string) string {
	first := g.Node("", "Slice", []string{x, g.Ints("zero", []int64{0}, 1), g.Ints("gate_width", []int64{v.gate.Shape[1]}, 1), g.Ints("axis_1", []int64{1}, 1)})
	gate := g.Node("", "Sigmoid", []string{b.linear(g, b.up(g, first), F32, v.gate)})
	gate = g.Node("", "Mul", []string{gate, g.Floats("two", []float32{2})})
	gate = g.Node("", "Unsqueeze", []string{gate, g.Ints("axis_2", []int64{2}, 1)})
	kv, dim := int64(a.kvHeads), int64(a.headDim)
	heads := g.Ints("value_heads", []int64{-1, kv, dim}, 3)
	rows := g.Node("", "Reshape", []string{b.up(g, b.gather(g, v.ids, v.table)), heads})
	add := g.Node("", "Reshape", []string{g.Node("", "Mul", []string{gate, rows}), g.Ints("value_width", []int64{-1, kv * dim}, 2)})
	return b.down(g, g.Node("", "Add", []string{b.up(g, values), add}))
}

// attentionSpec is what all layers of a model share.
type attentionSpec struct {
	heads, kvHeads, headDim int
	cos, sin                []float32 // [context, head_dim/2]; nil: no RoPE, or one outside the operator
	window                  int       // a row sees itself and window − 1 before it; 0: all
	interleaved             bool      // RoPE turns neighbours instead of halves
	headNorm                float64   // epsilon of a gainless RMSNorm per head after RoPE; 0: none

	whole bool // rows of a prompt see all of it

	headGains []*safetensors.Tensor // of one before RoPE, a layer's own
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
	if a.whole {
		g.Input("visible_seqlens", onnx.Int32, onnx.Dynamic("spans"))
	}
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
		{Name: "do_rotary", V: flag[a.cos != nil]},
		{Name: "rotary_interleaved", V: flag[a.interleaved]},
	}
	attrs = append(attrs, a.windowed()...)
	when, eps := 2, a.headNorm // after RoPE
	if a.headGains != nil {
		when, eps = 1, b.eps
	} else if b.opt.emulate {
		when = 1 // before it, as CUDA's operator norms
	}
	if eps > 0 {
		attrs = append(attrs, onnx.Attr{Name: "qk_norm", V: when}, onnx.Attr{Name: "qk_norm_epsilon", V: eps})
	}
	cos, sin := b.ropeTables(g, a)
	if cos != "" {
		cos, sin = b.up(g, cos), b.up(g, sin)
	}
	inputs := make([]string, 0, 12)
	for _, x := range qkv {
		if x != "" {
			x = b.up(g, x)
		}
		inputs = append(inputs, x)
	}
	inputs = append(inputs, "key_cache", "value_cache", "cumulative_sequence_length", "past_seqlens", "block_table", cos, sin)
	for _, gain := range a.headGains {
		inputs = append(inputs, b.vector(g, gain))
	}
	if a.whole {
		inputs = append(append(inputs, "", "")[:12], "visible_seqlens") // behind the gains
	}
	return b.down(g, g.Node(onnx.Loopserve, "PagedAttention", inputs, attrs...))
}

// windowed is the attribute of a window, where there is one.
func (a attentionSpec) windowed() []onnx.Attr {
	if a.window == 0 {
		return nil
	}
	return []onnx.Attr{{Name: "local_window_size", V: a.window}}
}

// ropeTables are cos and sin in the activations' type, nothing where the operator turns nothing.
func (b *builder) ropeTables(g *onnx.Graph, a attentionSpec) (cos, sin string) {
	if a.cos == nil {
		return "", ""
	}
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
	place := b.put(name, func(w io.Writer) error { return writeAs(w, t, values) })
	return g.External(name, t, place, dims...)
}

// cuda reports whether the graphs are for CUDA: 16-bit activations with ONNX Runtime's own attention.
func (b *builder) cuda() bool { return b.act != onnx.Float && b.port == b.act }

// attendCUDA appends com.microsoft.PagedAttention, as ONNX Runtime 1.32 has it
// (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.PagedAttention). It has no
// layers: page p of layer j is slab p·layers + j of the cache. An unmapped page, −1, stays below 0, which the operator
// takes as unmapped too. A layer's node writes the caches of its inputs in place; the last one names them as outputs,
// which must be the same memory.
func (b *builder) attendCUDA(g *onnx.Graph, a attentionSpec, qkv []string, layer, layers int) string {
	b.flush(g)
	if a.headDim%16 != 0 {
		b.fail("head_dim is %d: CUDA's attention needs a multiple of 16 (export with --dtype f32 for the CPU)", a.headDim)
	}
	flag := map[bool]int{true: 1}
	attrs := []onnx.Attr{
		{Name: "num_heads", V: a.heads},
		{Name: "kv_num_heads", V: a.kvHeads},
		{Name: "do_rotary", V: flag[a.cos != nil]},
		{Name: "rotary_interleaved", V: flag[a.interleaved]},
	}
	attrs = append(attrs, a.windowed()...)
	cos, sin := b.ropeTables(g, a)
	inputs := append(qkv, "key_cache", "value_cache", "cumulative_sequence_length", "past_seqlens", slabs(g, layer, layers), cos, sin)
	switch {
	case a.headGains != nil:
		inputs = append(inputs, "", "") // slot_mapping and head_sink
		for _, gain := range a.headGains {
			inputs = append(inputs, b.numbers(g, b.act, gain.Name, b.values(gain), gain.Len()))
		}
		attrs = append(attrs, onnx.Attr{Name: "qk_norm_epsilon", V: b.eps})
	case a.headNorm > 0:
		// The operator norms before RoPE, this family after it. Without a gain that is the same: RoPE turns a head's
		// vector and leaves its length.
		gain := b.numbers(g, b.act, "head_norm", slices.Repeat([]float32{1}, a.headDim), int64(a.headDim))
		inputs = append(inputs, "", "", gain, gain) // beside slot_mapping and head_sink
		attrs = append(attrs, onnx.Attr{Name: "qk_norm_epsilon", V: a.headNorm})
	}
	outputs := []string{g.Name("PagedAttention")}
	if layer == layers-1 {
		for _, name := range []string{"key_cache_out", "value_cache_out"} {
			outputs = append(outputs, name)
			g.Output(name, b.act, a.cache()...)
		}
	}
	g.NodeTo(onnx.Microsoft, "PagedAttention", inputs, outputs, attrs...)
	return outputs[0]
}

// slabs gives the page table of a layer: block_table · layers + layer.
func slabs(g *onnx.Graph, layer, layers int) string {
	if layers == 1 {
		return "block_table"
	}
	const first = "block_table_0"
	if layer == 0 {
		g.NodeTo("", "Mul", []string{"block_table", g.Int32s("layers", []int32{int32(layers)})}, []string{first})
		return first
	}
	name := fmt.Sprintf("block_table_%d", layer)
	g.NodeTo("", "Add", []string{first, g.Int32s(fmt.Sprintf("layer_%d", layer), []int32{int32(layer)})}, []string{name})
	return name
}
