package export

import (
	"fmt"
	"math"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// raven is the skeleton of everything that calls itself huginn_raven: a prelude whose output e is injected at every
// loop through a linear map of [state; e], a core, a coda. The state starts at zero.
type raven struct {
	base
	place      placement
	normState  bool // ln_f on the state after the last loop, and its same gain again before the head (Huginn)
	wholeNorms bool // q_norm and k_norm over the whole width (OLMo)
	qkBias     bool
	scale      float64 // of the embedding
}

func init() { families["huginn_raven"] = newRaven }

// newRaven tells the families apart by their tensors: the model_type is the same, the math is not, and configs carry
// each other's leftovers.
func newRaven(c *config, has hasTensor) (family, error) {
	m := &raven{wholeNorms: has("transformer.core_block.0.attn.q_norm.weight")}
	m.sizes(c)
	m.initValues(c)
	m.tied = c.tied(true, "tie_embeddings", "tie_word_embeddings")
	c.must("nonlin_name", `"SiLU"`)
	c.must("mlp_class_name", `"GatedMLP"`)
	c.must("norm_class_name", `"RMSNorm_llama"`, `"RMSNorm"`)
	c.must("block_class_name", `"SandwichBlock"`)
	c.must("injection_type", `"linear"`)
	c.must("bias", "false")
	c.must("test_time_noise", "0")
	c.must("initial_state_mode", `"random"`)
	// Of training, of initialisation, or of the random state that zeros stand in for.
	c.ignore("activation_checkpoint_impl", "architecture_class_name", "effective_expected_depth", "init_orthogonal",
		"init_strategy", "mean_backprop_depth", "sampling_scheme", "test_time_noise_type", "padding_multiple")
	m.loops, m.auto = c.loops("mean_recurrence")
	if has("transformer.core_block.0.norm_3.weight") {
		m.huginn(c)
	} else {
		m.retrofit(c)
	}
	return m, c.done()
}

// initValues takes the scale of the embedding, and the width of the noise that upstream starts from.
func (m *raven) initValues(c *config) {
	var init struct {
		Std       float64 `json:"std"`
		OutProj   float64 `json:"out_proj"`
		Embedding float64 `json:"embedding"`
		Scale     float64 `json:"embed_scale"`
	}
	if c.lacks("init_values") { // the default of upstream's config class
		init.Std, init.Scale = math.Sqrt(2/(5*float64(m.hidden))), math.Sqrt(float64(m.hidden))
	}
	c.strict("init_values", &init)
	m.scale = c.positive("init_values.embed_scale", init.Scale)
	m.noise = c.noise(init.Std, m.scale)
}

func (m *raven) sizes(c *config) {
	m.lit(c)
	c.ignore("max_position_embeddings")
	for _, key := range []string{"n_layers", "num_hidden_layers"} {
		c.same(key, m.prelude+m.loop+m.coda, "but prelude, core and coda have %d + %d + %d", m.prelude, m.loop, m.coda)
	}
	c.same("hidden_size", m.hidden, "but n_embd is %d", m.hidden)
	n, a := c.size("n_heads", 1, 1<<12, -1), &m.attention
	m.heads(c, n)
	if a.heads != n {
		c.fail("num_attention_heads is %d, but n_heads is %d", a.heads, n)
	}
	if a.heads*a.headDim != m.hidden && !m.wholeNorms {
		c.fail("head_dim is %d, but n_embd %d / n_heads %d is what upstream's code takes, save OLMo's", a.headDim, m.hidden, n)
	}
}

// layers are those of a stage: transformer.<stage>.0 … n−1.
func (m *raven) layers(b *builder, g *onnx.Graph, stage string, n int) []layer {
	out := make([]layer, n)
	q, kv := m.widths()
	for i := range out {
		at := fmt.Sprintf("transformer.%s.%d", stage, i)
		t := b.weights(at)
		l := layer{
			norms: []*safetensors.Tensor{t("norm_1", m.hidden), t("norm_2", m.hidden)},
			qkv:   []*safetensors.Tensor{t("attn.Wqkv", q+2*kv, m.hidden)}, o: t("attn.proj", m.hidden, q),
			fc: []*safetensors.Tensor{t("mlp.fc", 2*m.ffn, m.hidden)}, proj: t("mlp.proj", m.hidden, m.ffn),
		}
		if m.place == sumSandwich {
			l.norms = append(l.norms, t("norm_3", m.hidden), t("norm_4", m.hidden))
		}
		if m.qkBias {
			l.bias = b.headBias(g, b.tensor(at+".attn.qk_bias", 2, 1, m.attention.heads, m.attention.headDim), kv)
		}
		if m.wholeNorms {
			l.qNorm, l.kNorm = t("attn.q_norm", q), t("attn.k_norm", kv)
		}
		out[i] = l
	}
	return out
}

// headBias is a stored bias of query and key, [2, 1, heads, head_dim], as one of packed q|k|v: nothing for the values.
func (b *builder) headBias(g *onnx.Graph, t *safetensors.Tensor, values int) string {
	packed := append(b.values(t), make([]float32, values)...)
	return b.numbers(g, b.act, t.Name, packed, int64(len(packed)))
}

func (m *raven) build(b *builder) (prelude, block, coda *onnx.Graph) {
	embed := b.tensor("transformer.wte.weight", m.vocab, m.hidden)
	prelude, x := m.startPrelude(b, embed, m.scale)
	b.stack(prelude, m.attention, m.place, x, m.layers(b, prelude, "prelude", m.prelude), nil, b.inner("inject"))
	m.emit(b, prelude, "inject")

	block, h := m.startBlock(b)
	both := block.Node("", "Concat", []string{h, b.inner("inject")}, onnx.Attr{Name: "axis", V: 1})
	x = b.linear(block, both, b.opt.Weights, b.tensor("transformer.adapter.weight", m.hidden, 2*m.hidden))
	b.stack(block, m.attention, m.place, x, m.layers(b, block, "core_block", m.loop), nil, b.inner("hidden_out"))
	m.finishBlock(b, block, h)

	coda, h = m.startCoda(b)
	last := b.tensor("transformer.ln_f.weight", m.hidden)
	if m.normState {
		h = b.norm(coda, h, last)
	}
	b.stack(coda, m.attention, m.place, h, m.layers(b, coda, "coda", m.coda), nil, "last")
	m.finishCoda(b, coda, "last", last, m.head(b, embed))
	b.leftover("freqs_cis") // a table, recomputed
	return prelude, block, coda
}

// huginn is Huginn-0125 (arXiv 2502.05171): norms around each sum, RoPE on neighbours, a bias on query and key before
// it, and ln_f twice: on the state after the last loop, and before the head.
func (m *raven) huginn(c *config) {
	m.place, m.normState = sumSandwich, true
	if own := math.Sqrt(float64(m.hidden)); math.Abs(m.scale/own-1) > 1e-3 {
		c.fail("init_values.embed_scale is %v, but upstream's Huginn takes √n_embd, %v, whatever stands there", m.scale, own)
	}
	m.attention.interleaved = true
	c.take("qk_bias", &m.qkBias)
	if m.attention.kvHeads != m.attention.heads && m.qkBias {
		c.fail("qk_bias with num_key_value_heads %d and n_heads %d is not implemented", m.attention.kvHeads, m.attention.heads)
		m.qkBias = false
	}
	m.attention.cos, m.attention.sin = c.rope("rope_base", m.attention.headDim, m.context)
	m.policies = []string{"modulo:4"} // its paper's budget of 4 recurrences
	m.settleTokens(c, false)
}

// retrofit is a pretrained model made recurrent (arXiv 2511.07384): TinyLlama and Llama with pre-norm layers, OLMo with
// norms on the branches' outputs and on the whole width of query and key. RoPE is the source model's, on halves, and
// nothing is normed between loop and coda. The configs carry Huginn's token ids and RoPE base: the tokenizer's files
// and rope_theta are right.
func (m *raven) retrofit(c *config) {
	m.place = preNorm
	if m.wholeNorms {
		m.place = branchPostNorm
	}
	c.must("qk_bias", "false")
	c.ignore("rope_base")
	m.attention.cos, m.attention.sin = c.rope("rope_theta", m.attention.headDim, m.context)
	m.settleTokens(c, true)
}
