package export

import (
	"github.com/loopserve/loopserve/models/export/onnx"
)

// loopedLlama is Llama with its middle layers looped: p layers once, k layers L times, c layers once, then the norm
// and an untied or tied head. Pre-norm, SwiGLU, RoPE on halves, nothing injected.
type loopedLlama struct{ base }

func init() { families["looped_llama"] = newLoopedLlama }

func newLoopedLlama(c *config, _ hasTensor) (family, error) {
	m := &loopedLlama{}
	m.prelude, m.loop = c.size("num_prelude_layers", 0, 1000, 0), c.size("num_loop_layers", 1, 1000, -1)
	m.coda = c.size("num_coda_layers", 0, 1000, 0)
	c.same("num_hidden_layers", m.prelude+m.loop+m.coda, "but prelude, loop and coda layers are %d + %d + %d", m.prelude, m.loop, m.coda)
	m.llama(c)
	m.loops, m.auto = c.loops("num_loops")
	m.policies = []string{"latest"}
	return m, c.done()
}

// layers are the stored layers [from, from+n).
func (m *loopedLlama) layers(b *builder, from, n int) []layer {
	return m.llamaLayers(b, from, n, "input_layernorm", "post_attention_layernorm")
}

func (m *loopedLlama) build(b *builder) (prelude, block, coda *onnx.Graph) {
	embed := b.tensor("model.embed_tokens.weight", m.vocab, m.hidden)
	prelude, x := m.startPrelude(b, embed, 1)
	b.stack(prelude, m.attention, preNorm, x, m.layers(b, 0, m.prelude), nil, b.inner("hidden"))
	m.emit(b, prelude, "hidden")

	block, h := m.startBlock(b)
	b.stack(block, m.attention, preNorm, h, m.layers(b, m.prelude, m.loop), nil, b.inner("hidden_out"))
	m.finishBlock(b, block, h)

	coda, h = m.startCoda(b)
	b.stack(coda, m.attention, preNorm, h, m.layers(b, m.prelude+m.loop, m.coda), nil, "last")
	m.finishCoda(b, coda, "last", b.tensor("model.norm.weight", m.hidden), m.head(b, embed))
	b.leftover("rotary_emb.inv_freq")
	return prelude, block, coda
}
