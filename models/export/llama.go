package export

import (
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/models/export/onnx"
)

// decoder is Llama and what differs from it by a line: p layers once, k layers in the loop, c layers once, then the norm and an
// untied or tied head. Pre-norm, SwiGLU, RoPE on halves, nothing injected.
type decoder struct {
	base
	kvFirst bool // the policy `first` is the first listed
}

func init() {
	families["looped_llama"] = newLoopedLlama
	for modelType, kind := range plain {
		families[modelType] = func(c *config, _ hasTensor) (family, error) { return newPlain(c, kind) }
	}
}

// plain are the ordinary decoders: in how they differ from each other.
var plain = map[string]plainKind{
	"llama":   {biasKeys: true},
	"mistral": {},
	"qwen2":   {windows: true, biases: biases{qkv: true}},
	"qwen3":   {windows: true, biasKeys: true, headNorms: true, headDim: 128},
}

type plainKind struct {
	biasKeys  bool // attention_bias and mlp_bias say which products have a bias
	biases    biases
	headNorms bool
	headDim   int  // where config.json has none; 0: hidden_size / num_attention_heads
	windows   bool // use_sliding_window is false where it is absent
}

// biases says which products of a layer have a stored bias: of query, key and value, of the attention's output, of the MLP.
type biases struct{ qkv, o, mlp bool }

// newLoopedLlama is Llama with k layers that were trained to be looped.
func newLoopedLlama(c *config, _ hasTensor) (family, error) {
	m := &decoder{}
	m.prelude, m.loop = c.size("num_prelude_layers", 0, 1000, 0), c.size("num_loop_layers", 1, 1000, -1)
	m.coda = c.size("num_coda_layers", 0, 1000, 0)
	c.same("num_hidden_layers", m.prelude+m.loop+m.coda, "but prelude, loop and coda layers are %d + %d + %d", m.prelude, m.loop, m.coda)
	m.llama(c)
	m.loops, m.auto = c.loops("num_loops")
	return m, c.done()
}

// newPlain is an ordinary decoder, which was trained to pass each layer once: all of them are the block, or those that --loop
// names, which are then looped without training. One loop is the model itself.
func newPlain(c *config, kind plainKind) (family, error) {
	m := &decoder{}
	m.biases, m.headNorms = kind.biases, kind.headNorms
	if on := false; kind.biasKeys && c.take("attention_bias", &on) {
		m.biases.qkv, m.biases.o = on, on
	}
	if kind.biasKeys && !kind.headNorms {
		c.take("mlp_bias", &m.biases.mlp)
	}
	if kind.windows && c.lacks("use_sliding_window") {
		c.ignore("sliding_window")
	}
	if kind.headDim > 0 && c.lacks("head_dim") {
		c.keys["head_dim"] = []byte(strconv.Itoa(kind.headDim))
	}
	m.llama(c)
	m.window(c, c.size("num_hidden_layers", 1, 1000, -1))
	m.loops, m.auto = c.hinted(m.untrained(&c.opt))
	return m, c.done()
}

// window makes a block of the layers first-last, counted from 0, of n; of all where nothing was said.
func (f *base) window(c *config, n int) {
	first, last := 0, n-1
	if c.loop != "" {
		from, to, ok := strings.Cut(c.loop, "-")
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if !ok || errA != nil || errB != nil || a < 0 || b < a || b >= n {
			c.fail("num_hidden_layers is %d, but loop is %q: must be FIRST-LAST, two of the layers 0 to %d in order", n, c.loop, n-1)
			a, b = first, last
		}
		first, last, c.loop = a, b, ""
	}
	f.prelude, f.loop, f.coda = first, last-first+1, n-1-last
}

func (m *decoder) build(b *builder) (prelude, block, coda *onnx.Graph) {
	return m.looped(b, preNorm, true, nil, "input_layernorm", "post_attention_layernorm")
}
