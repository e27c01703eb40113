package export

import (
	"fmt"

	"github.com/loopserve/loopserve/models/export/onnx"
)

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
		b.fail("head_dim is %d: CUDA's attention takes multiples of 16 (export with --dtype f32 for the CPU)", a.headDim)
	}
	flag := map[bool]int{true: 1}
	attrs := []onnx.Attr{
		{Name: "num_heads", V: a.heads},
		{Name: "kv_num_heads", V: a.kvHeads},
		{Name: "do_rotary", V: 1},
		{Name: "rotary_interleaved", V: flag[a.interleaved]},
	}
	cos, sin := b.ropeTables(g, a)
	inputs := append(qkv, "key_cache", "value_cache", "cumulative_sequence_length", "past_seqlens", slabs(g, layer, layers), cos, sin)
	if a.headNorm > 0 {
		// The operator norms before RoPE, the families after it. Without a gain that is the same: RoPE turns a head's
		// vector and leaves its length.
		ones := make([]float32, a.headDim)
		for i := range ones {
			ones[i] = 1
		}
		gain := b.numbers(g, b.act, "head_norm", ones, int64(a.headDim))
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
