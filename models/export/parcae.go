package export

import (
	"fmt"
	"math"
	"slices"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// parcae is Parcae (arXiv 2604.12946): the state decays by channel and takes in the injected e through B at every
// loop; query and key are normed without gain after RoPE; some layers add a value embedding of the token, gated by
// head; the MLP is ½·relu².
type parcae struct {
	base
	coreFFN     int // width of the core's MLPs; ffn is that of prelude and coda
	preludeNorm bool
	has         hasTensor
}

func init() {
	families["parcae"] = newParcae
	classNames["ParcaeConfig"], classNames["Parcae"] = "parcae", "parcae"
}

// torchEpsilon is what torch's rms_norm takes where none is given, in float32.
const torchEpsilon = 1.1920929e-07

func newParcae(c *config, has hasTensor) (family, error) {
	m := &parcae{has: has}
	m.lit(c)
	m.coreFFN = c.size("recurrent_intermediation_embedding_dimension", 1, 1<<20, m.ffn)
	m.heads(c, -1)
	m.attention.interleaved, m.attention.headNorm = true, torchEpsilon
	m.rope(c)
	c.take("prelude_norm", &m.preludeNorm)
	m.tied = c.tied(false, "tie_embeddings", "tie_word_embeddings")
	c.must("block_class_name", `"TransformerPreNormBlock"`)
	c.must("norm_class_name", `"RMSNorm"`)
	c.must("mlp_class_name", `"BaseMLP"`)
	c.must("nonlin_name", `"ReLU2"`)
	c.must("model_class_name", `"Parcae"`)
	c.must("injection_type", `"diagonal"`)
	c.must("qk_norm", "true")
	c.must("qk_bias", "false")
	c.must("bias", "false")
	c.must("mup_model_scaling_factor", "1")
	c.must("_is_recurrent_block_config", "false")
	c.must("init_strategy", `"scaled-zero"`, `"scaled"`, `"scaled-geiping"`, `"scaled-stuck"`) // which scale neither embedding nor logits
	c.must("clip_qkv")
	c.must("logit_softcap")
	c.same("recurrent_embedding_dimension", m.hidden, "only n_embd's %d is implemented", m.hidden)
	heads := m.attention.heads
	c.same("recurrent_num_attention_heads", heads, "only num_attention_heads' %d is implemented", heads)
	if m.attention.kvHeads != heads { // upstream's core has as many as query heads, and its value embeddings no room for that
		c.fail("num_key_value_heads is %d, but only num_attention_heads' %d is implemented", m.attention.kvHeads, heads)
	}
	// Of training, of initialisation, of what is printed, or of the random state that zeros stand in for.
	c.ignore("name", "hf_config", "padding_multiple", "attn_impl", "init_orthogonal", "skip_initialization", "use_fused_head",
		"activation_checkpoint_impl", "simple_ops", "strategy", "sampling_scheme", "mean_backprop_depth", "lockstep_n", "lockstep_k",
		"curriculum_target", "recurrent_iteration_method", "randomize_positions_from", "use_abacus",
		"debias_attention", "center_attention")
	m.noise = c.noise(math.Sqrt(2/(5*float64(m.hidden))), 1) // the init_strategy gives the embedding this width, and no scale
	m.loops, m.auto = c.loops("mean_recurrence")
	m.settleTokens(c, false)
	return m, c.done()
}

func (m *parcae) rope(c *config) {
	settings := struct {
		Use      bool    `json:"use_rope"`
		Condense float64 `json:"rope_condense_ratio"`
		Base     float64 `json:"rope_base"`
	}{Base: 50000}
	c.strict("rope_settings", &settings)
	if !settings.Use || settings.Condense != 1 || !(settings.Base > 0) || math.IsInf(settings.Base, 0) {
		c.fail("rope_settings is %+v: only use_rope true, rope_condense_ratio 1 and a positive rope_base are implemented", settings)
		settings.Base = 1
	}
	m.attention.cos, m.attention.sin = ropeTables(inverseFrequencies(settings.Base, m.attention.headDim), 1, m.context)
}

// layers are those of a stage; first is the index of its first one among all layers, by which value embeddings go.
func (m *parcae) layers(b *builder, stage string, first, n, ffn int) []layer {
	out := make([]layer, n)
	q, kv := m.widths()
	for i := range out {
		t := b.weights(fmt.Sprintf("transformer.%s.%d", stage, i))
		out[i] = layer{
			norms: []*safetensors.Tensor{t("norm_1", m.hidden), t("norm_2", m.hidden)},
			qkv:   []*safetensors.Tensor{t("attn.c_q", q, m.hidden), t("attn.c_k", kv, m.hidden), t("attn.c_v", kv, m.hidden)},
			o:     t("attn.c_proj", m.hidden, q), activation: halfSquare,
			fc: []*safetensors.Tensor{t("mlp.fc", ffn, m.hidden)}, proj: t("mlp.proj", m.hidden, ffn),
			value: m.value(b, stage, i, first+i),
		}
	}
	return out
}

// value is a layer's value embedding: it acts only where both its table and the layer's gate are stored.
func (m *parcae) value(b *builder, stage string, i, global int) *valueEmbedding {
	gate, table := fmt.Sprintf("transformer.%s.%d.attn.ve_gate.weight", stage, i), fmt.Sprintf("value_embeds.%d.weight", global)
	if !m.has(gate) || !m.has(table) {
		b.used[gate], b.used[table] = true, true // one without the other does nothing upstream
		return nil
	}
	const gateInputs = 32
	_, kv := m.widths()
	return &valueEmbedding{
		ids: "input_ids", table: b.tensor(table, m.vocab, kv), gate: b.tensor(gate, m.attention.kvHeads, min(gateInputs, m.hidden)),
	}
}

// stack appends layers on h. Where one has a value embedding, the graph reads the tokens again.
func (m *parcae) stack(b *builder, g *onnx.Graph, h string, layers []layer, after *safetensors.Tensor, output string) {
	if slices.ContainsFunc(layers, func(l layer) bool { return l.value != nil }) {
		g.Input("input_ids", onnx.Int64, onnx.Dynamic("rows"))
	}
	b.stack(g, m.attention, preNorm, h, layers, after, output)
}

func (m *parcae) build(b *builder) (prelude, block, coda *onnx.Graph) {
	t := b.weights("transformer")
	embed := t("wte", m.vocab, m.hidden)
	prelude, x := m.startPrelude(b, embed, 1)
	var norm *safetensors.Tensor
	if m.preludeNorm {
		norm = t("ln_prelude", m.hidden)
	}
	m.stack(b, prelude, x, m.layers(b, "prelude", 0, m.prelude, m.ffn), norm, b.inner("inject"))
	m.emit(b, prelude, "inject")

	block, h := m.startBlock(b)
	layers := m.layers(b, "core_block", m.prelude, m.loop, m.coreFFN)
	m.stack(b, block, m.takeIn(b, block, h), layers, nil, b.inner("hidden_out"))
	m.finishBlock(b, block, h)

	coda, h = m.startCoda(b)
	layers = m.layers(b, "coda", m.prelude+m.loop, m.coda, m.ffn)
	m.stack(b, coda, b.linear(coda, h, b.opt.Weights, t("C", m.hidden, m.hidden)), layers, nil, "last")
	m.finishCoda(b, coda, "last", t("ln_f", m.hidden), m.head(b, embed))
	b.leftover("freqs_cis") // a table, recomputed
	return prelude, block, coda
}

// takeIn appends the injection: exp(−softplus(dt)·exp(A)) ⊙ h + softplus(dt) ⊙ B·e, its two vectors in float64, the sum
// in float32 whatever the activations are: a decay near 1 has no room in 8 bits.
func (m *parcae) takeIn(b *builder, g *onnx.Graph, h string) string {
	logA := b.values(b.tensor("transformer.adapter.A_log", m.hidden))
	bias := b.values(b.tensor("transformer.adapter.dt_bias", m.hidden))
	decay, dt := make([]float32, m.hidden), make([]float32, m.hidden)
	for i := range dt {
		d := float64(bias[i])
		step := math.Max(d, 0) + math.Log1p(math.Exp(-math.Abs(d))) // softplus
		decay[i], dt[i] = float32(math.Exp(-step*math.Exp(float64(logA[i])))), float32(step)
	}
	n := int64(m.hidden)
	kept := g.Node("", "Mul", []string{b.up(g, h), b.floats(g, "adapter.decay", decay, n)})
	in := b.linear(g, b.inner("inject"), b.opt.Weights, b.tensor("transformer.adapter.B", m.hidden, m.hidden))
	taken := g.Node("", "Mul", []string{b.up(g, in), b.floats(g, "adapter.dt", dt, n)})
	return b.down(g, g.Node("", "Add", []string{kept, taken}))
}
