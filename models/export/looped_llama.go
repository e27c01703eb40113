package export

import (
	"fmt"
	"math"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// loopedLlama is Llama with its middle layers looped: p layers once, k layers L times, c layers once, then the norm
// and an untied or tied head. Pre-norm, SwiGLU, RoPE on halves, nothing injected.
type loopedLlama struct {
	hidden, ffn, vocab, context int
	prelude, loop, coda         int
	eps                         float64
	tied                        bool
	attention                   attentionSpec
	loops                       bundle.LoopRange
	tokens                      bundle.Tokens
}

func init() { families["looped_llama"] = func(c *config) (family, error) { return newLoopedLlama(c) } }

func newLoopedLlama(c *config) (*loopedLlama, error) {
	const most = 1 << 20
	m := &loopedLlama{
		hidden: c.size("hidden_size", 1, most, -1), ffn: c.size("intermediate_size", 1, most, -1),
		vocab: c.size("vocab_size", 1, 1<<24, -1), context: c.size("max_position_embeddings", 1, 1<<24, -1),
		prelude: c.size("num_prelude_layers", 0, 1000, 0), loop: c.size("num_loop_layers", 1, 1000, -1),
		coda: c.size("num_coda_layers", 0, 1000, 0), eps: c.number("rms_norm_eps", math.NaN()),
	}
	heads := c.size("num_attention_heads", 1, 1<<12, -1)
	a := attentionSpec{heads: heads, kvHeads: c.size("num_key_value_heads", 1, 1<<12, heads)}
	a.headDim = c.size("head_dim", 2, 512, max(2, m.hidden/heads))
	if a.heads%a.kvHeads != 0 {
		c.fail("num_attention_heads %d is not a multiple of num_key_value_heads %d", a.heads, a.kvHeads)
	}
	if a.headDim%2 != 0 {
		c.fail("head_dim is %d, must be even for RoPE", a.headDim)
		a.headDim++
	}
	if n := c.size("num_hidden_layers", 1, 3000, m.prelude+m.loop+m.coda); n != m.prelude+m.loop+m.coda {
		c.fail("num_hidden_layers is %d, but prelude, loop and coda layers are %d + %d + %d", n, m.prelude, m.loop, m.coda)
	}
	a.rotary = a.headDim
	a.cos, a.sin = ropeTables(c.rope(a.rotary), m.context, 1)
	m.attention = a
	n := c.size("num_loops", 1, 1<<16, -1)
	m.loops = c.loops(bundle.LoopRange{Min: 1, Default: n, Trained: n, Max: 2 * n})
	c.take("tie_word_embeddings", &m.tied)
	c.must("hidden_act", `"silu"`)
	c.must("attention_bias", "false")
	c.must("mlp_bias", "false")
	c.must("sliding_window", "null")
	m.tokens.Stop = c.ids("eos_token_id")
	if bos := c.ids("bos_token_id"); len(bos) == 1 {
		m.tokens.BOS = &bos[0]
	}
	if pad := c.ids("pad_token_id"); len(pad) == 1 {
		m.tokens.PAD = &pad[0]
	}
	return m, c.done()
}

func (m *loopedLlama) describe(man *bundle.Manifest) {
	man.HiddenSize, man.VocabSize, man.Context = m.hidden, m.vocab, m.context
	man.Attention = m.attention.shape()
	man.Prelude.Layers, man.Block.Layers, man.Coda.Layers = m.prelude, m.loop, m.coda
	man.Loops, man.Tokens = m.loops, m.tokens
	man.State = bundle.State{Kind: "prelude"}
	man.KVPolicies = []string{"depth", "latest"}
}

// layers are the stored layers [from, from+n).
func (m *loopedLlama) layers(b *builder, from, n int) []llamaLayer {
	out := make([]llamaLayer, n)
	q, kv := m.attention.heads*m.attention.headDim, m.attention.kvHeads*m.attention.headDim
	for i := range out {
		t := func(name string, shape ...int) *safetensors.Tensor {
			return b.tensor(fmt.Sprintf("model.layers.%d.%s.weight", from+i, name), shape...)
		}
		out[i] = llamaLayer{
			norm1: t("input_layernorm", m.hidden), norm2: t("post_attention_layernorm", m.hidden),
			q: t("self_attn.q_proj", q, m.hidden), k: t("self_attn.k_proj", kv, m.hidden), v: t("self_attn.v_proj", kv, m.hidden),
			o: t("self_attn.o_proj", m.hidden, q), gate: t("mlp.gate_proj", m.ffn, m.hidden), up: t("mlp.up_proj", m.ffn, m.hidden),
			down: t("mlp.down_proj", m.hidden, m.ffn),
		}
	}
	return out
}

func (m *loopedLlama) build(b *builder) (prelude, block, coda *onnx.Graph) {
	rows, d := onnx.Dynamic("rows"), onnx.Fixed(m.hidden)
	embed := b.tensor("model.embed_tokens.weight", m.vocab, m.hidden)

	prelude = onnx.NewGraph("prelude")
	ids := prelude.Input("input_ids", onnx.Int64, rows)
	if m.prelude > 0 {
		m.attention.paging(prelude)
		b.embedding(prelude, ids, embed, "embedded")
		b.llamaStack(prelude, m.attention, "embedded", m.layers(b, 0, m.prelude), m.eps, "hidden")
	} else {
		b.embedding(prelude, ids, embed, "hidden")
	}
	prelude.Output("hidden", onnx.Float, rows, d)

	block = onnx.NewGraph("block")
	h := block.Input("hidden", onnx.Float, rows, d)
	m.attention.paging(block)
	b.llamaStack(block, m.attention, h, m.layers(b, m.prelude, m.loop), m.eps, "hidden_out")
	block.Output("hidden_out", onnx.Float, rows, d)
	b.relativeChange(block, h, "hidden_out")

	coda = onnx.NewGraph("coda")
	h = coda.Input("hidden", onnx.Float, rows, d)
	which := coda.Input("logit_rows", onnx.Int64, onnx.Dynamic("logits"))
	if m.coda > 0 {
		m.attention.paging(coda)
		b.llamaStack(coda, m.attention, h, m.layers(b, m.prelude+m.loop, m.coda), m.eps, "hidden_out")
		h = "hidden_out"
	}
	picked := coda.Node("", "Gather", []string{h, which}, onnx.Attr{Name: "axis", V: 0})
	final := b.rmsNorm(coda, picked, b.tensor("model.norm.weight", m.hidden), m.eps)
	head := embed
	if !m.tied {
		head = b.tensor("lm_head.weight", m.vocab, m.hidden)
	}
	coda.NodeTo("", "Identity", []string{final}, []string{"final_hidden"})
	coda.NodeTo("", "Identity", []string{b.linear(coda, final, b.opt.Weights, head)}, []string{"logits"})
	coda.Output("logits", onnx.Float, onnx.Dynamic("logits"), onnx.Fixed(m.vocab))
	coda.Output("final_hidden", onnx.Float, onnx.Dynamic("logits"), d)
	b.leftover("rotary_emb.inv_freq")
	return prelude, block, coda
}
