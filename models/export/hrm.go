package export

import (
	"fmt"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// hrmText is HRM-Text (arXiv 2605.20613). Its state is two vectors, z_H and z_L, and a loop is one of its H cycles: L_cycles times
// z_L ← L(z_L + z_H), then z_H ← H(z_H + z_L), where L and H are stacks of layers with a norm at their end. Each pass of a stack
// keeps keys and values of its own. Norms have no gain, and a gate of the layer's normed input is on what attention gives.
type hrmText struct {
	base
	cycles, stack int     // passes of stack L in a loop; layers of either stack
	scale         float64 // of the embedding
	prefix        bool    // a prompt is read in both directions
	has           hasTensor
}

func init() { families["hrm_text"] = newHRMText }

func newHRMText(c *config, has hasTensor) (family, error) {
	m := &hrmText{has: has, prefix: true}
	c.theta = 10000
	for key, v := range map[string]string{ // upstream's class has it where the file has not
		"vocab_size": "151808", "hidden_size": "1536", "intermediate_size": "4096", "num_hidden_layers": "16", "num_attention_heads": "12",
		"max_position_embeddings": "2048", "head_dim": "128", "H_cycles": "2", "rms_norm_eps": "1e-06",
	} {
		c.orElse(key, v)
	}
	c.ignore("num_key_value_heads") // upstream has one for each query head, whatever stands there
	m.biasKeys(c, true, true)
	m.llama(c)
	c.seen["num_key_value_heads"] = keyInert
	m.loops, m.auto = c.loops("H_cycles")
	m.cycles = c.size("L_cycles", 1, 100, 3)
	c.ignore("L_bp_cycles", "L_bp_steps") // of training
	// With num_layers_per_stack the other one counts all passes, for upstream's cache.
	key := "num_hidden_layers"
	c.note("num_layers_per_stack", keyHonoured)
	if !c.lacks("num_layers_per_stack") {
		c.ignore(key)
		key = "num_layers_per_stack"
	}
	m.stack = c.size(key, 1, 500, -1)
	if m.loop = (m.cycles + 1) * m.stack; m.loop > 1000 {
		c.fail("L_cycles %d and %s %d come to %d attention layers in a loop, at most 1000", m.cycles, key, m.stack, m.loop)
	}
	var deviation float64
	c.orElse("initializer_range", "0.02")
	if c.take("initializer_range", &deviation); !c.take("embedding_scale", &m.scale) {
		m.scale = 1 / c.positive("initializer_range", deviation)
	}
	m.scale = c.positive("embedding_scale", m.scale)
	c.take("prefix_lm", &m.prefix)
	m.width, m.attention.whole = 2*m.hidden, m.prefix
	if v := c.vocabulary(); v.templates == "" && v.knows("<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|quad_start|>", "<|quad_end|>") {
		m.template = hrmTemplate
	}
	return m, c.done()
}

func (m *hrmText) describe(b *bundle.Manifest) {
	m.base.describe(b)
	b.PrefixLM = m.prefix
}

// layers are those of a stack, in the names of the release, or in those that transformers may save.
func (m *hrmText) layers(b *builder, g *onnx.Graph, stack string) []layer {
	q, _ := m.widths()
	out := make([]layer, m.stack)
	for i := range out {
		at := fmt.Sprintf("model.%s_module.layers.%d", stack, i)
		t := b.weights(at)
		attention := "attn."
		if !m.has(at + ".attn.o_proj.weight") {
			attention = "self_attn."
		}
		l := layer{o: t(attention+"o_proj", m.hidden, q), proj: t("mlp.down_proj", m.hidden, m.ffn)}
		if m.has(at + "." + attention + "gqkv_proj.weight") {
			l.qkv = []*safetensors.Tensor{t(attention+"gqkv_proj", 4*q, m.hidden)}
		} else {
			for _, name := range []string{"gate_proj", "q_proj", "k_proj", "v_proj"} {
				l.qkv = append(l.qkv, t(attention+name, q, m.hidden))
			}
		}
		if m.has(at + ".mlp.gate_up_proj.weight") {
			l.fc = []*safetensors.Tensor{t("mlp.gate_up_proj", 2*m.ffn, m.hidden)}
		} else {
			l.fc = []*safetensors.Tensor{t("mlp.gate_proj", m.ffn, m.hidden), t("mlp.up_proj", m.ffn, m.hidden)}
		}
		m.bias(b, g, &l)
		out[i] = l
	}
	return out
}

// pass appends one pass of a stack on x; its keys and values are those of the loop's layers from slot on.
func (m *hrmText) pass(b *builder, g *onnx.Graph, stack []layer, x string, slot int) string {
	q, _ := m.widths()
	for i, l := range stack {
		gqkv := biased(g, b.linear(g, b.gainless(g, x, m.hidden), b.opt.Weights, l.qkv...), l.bias)
		w := int64(q)
		parts := g.NodeN("", "Split", []string{gqkv, g.Ints("gqkv_widths", []int64{w, w, w, w}, 4)}, 4, onnx.Attr{Name: "axis", V: 1})
		seen := b.attend(g, m.attention, parts[1:4:4], slot+i, m.loop)
		gated := g.Node("", "Mul", []string{g.Node("", "Sigmoid", parts[:1]), seen})
		x = b.add(g, x, biased(g, b.linear(g, gated, b.opt.Weights, l.o), l.oBias))
		x = b.add(g, x, b.mlp(g, l, b.gainless(g, x, m.hidden)))
	}
	return b.gainless(g, x, m.hidden)
}

func (m *hrmText) build(b *builder) (prelude, block, coda *onnx.Graph) {
	if b.cuda() && m.prefix {
		b.fail("prefix_lm is true, but CUDA's attention reads a prompt in one direction: set prefix_lm to false in config.json for that, or export with --dtype f32 for the CPU")
	}
	embed := b.tensor(embedding, m.vocab, m.hidden)
	both := onnx.Attr{Name: "axis", V: 1}
	prelude, x := m.startPrelude(b, embed, m.scale)
	low := b.numbers(prelude, b.act, "z_L", b.values(b.tensor("model.z_L_init", m.hidden)), 1, int64(m.hidden))
	none := prelude.Node("", "Mul", []string{x, b.numbers(prelude, b.act, "zero", []float32{0}, 1)}) // as many rows as x has
	prelude.NodeTo("", "Concat", []string{x, prelude.Node("", "Add", []string{none, low})}, []string{b.inner("hidden")}, both)
	m.emit(b, prelude, "hidden")

	block, h := m.startBlock(b)
	m.attention.paging(b, block)
	lowStack, highStack := m.layers(b, block, "L"), m.layers(b, block, "H")
	high, low := m.parts(block, h)
	before, slot := high, 0
	for range m.cycles {
		low = m.pass(b, block, lowStack, b.add(block, low, high), slot)
		slot += m.stack
	}
	high = m.pass(b, block, highStack, b.add(block, high, low), slot)
	block.NodeTo("", "Concat", []string{high, low}, []string{b.inner("hidden_out")}, both)
	m.emit(b, block, "hidden_out")
	b.relativeChange(block, before, high)

	coda, h = m.startCoda(b)
	high, _ = m.parts(coda, h)
	m.finishCoda(b, coda, high, nil, m.head(b, embed))
	b.leftover("rotary_emb.inv_freq")
	return prelude, block, coda
}

// hrmTemplate is the prompt that the model was trained on: conditions, of which each is a token, then the question; it has no turns.
const hrmTemplate = `{%- set tokens = {'direct': '<|object_ref_start|>', 'cot': '<|object_ref_end|>', 'noisy': '<|quad_start|>', 'synth': '<|quad_end|>'} -%}
{%- set ns = namespace(start=0) -%}
{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.start = loop.index0 -%}{%- endif -%}{%- endfor -%}
{{- '<|im_start|>' -}}
{%- for name in (condition | default('synth,cot')).split(',') -%}
{%- if name | trim not in tokens -%}{{ raise_exception("condition has '" ~ name ~ "': must be direct, cot, synth or noisy, or several with commas") }}{%- endif -%}
{{- tokens[name | trim] -}}
{%- endfor -%}
{%- for m in messages -%}{%- if m.role == 'system' -%}{{ m.content ~ '\n\n' }}{%- endif -%}{%- endfor -%}
{%- for m in messages[ns.start:] -%}{%- if m.role == 'user' -%}{{ m.content ~ '<|im_end|>' }}{%- elif m.role != 'system' -%}{{ m.content or '' }}{%- endif -%}{%- endfor -%}
`
