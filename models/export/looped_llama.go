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
	return m, c.done()
}

func (m *loopedLlama) build(b *builder) (prelude, block, coda *onnx.Graph) {
	return m.looped(b, preNorm, true, nil, "input_layernorm", "post_attention_layernorm")
}
