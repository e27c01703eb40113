package export

import (
	"cmp"
	"math"
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
	"llama":   {biasKeys: true, mlpBias: true, positions: 2048},
	"mistral": {window: 4096, kvHeads: 8, positions: 131072},
	"qwen2":   {switched: true, window: 4096, biases: biases{qkv: true}, kvHeads: 32, positions: 32768},
	"qwen3":   {switched: true, window: 4096, biasKeys: true, headNorms: true, headDim: 128, kvHeads: 32, positions: 32768},
	"smollm3": {switched: true, biasKeys: true, mlpBias: true, theta: 2e6, unturned: true, tied: "true", kvHeads: 4, positions: 32768},
}

type plainKind struct {
	biasKeys  bool // attention_bias says whether products have a bias
	mlpBias   bool // and so does mlp_bias
	biases    biases
	headNorms bool
	headDim   int  // where config.json has none; 0: hidden_size / num_attention_heads
	kvHeads   int  // where config.json has none; 0, or where it has null: num_attention_heads
	positions int  // where config.json has no max_position_embeddings
	switched  bool // use_sliding_window says whether there are windows: in the later layers, or where layer_types has them
	window    int  // where config.json has no sliding_window; 0: none
	theta     float64
	unturned  bool   // no_rope_layers has a 0 for each layer without RoPE, else each no_rope_layer_interval-th is one
	tied      string // where config.json does not say; "": false
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
	c.theta = cmp.Or(kind.theta, 10000)
	c.orElse("rms_norm_eps", "1e-06")
	c.orElse("tie_word_embeddings", cmp.Or(kind.tied, "false"))
	m.biasKeys(c, kind.biasKeys, kind.mlpBias)
	layers := c.size("num_hidden_layers", 1, 1000, -1)
	if kind.switched || kind.window > 0 {
		m.layerKinds(c, kind, layers)
	}
	if kind.headDim > 0 {
		c.orElse("head_dim", strconv.Itoa(kind.headDim))
	}
	if kind.kvHeads > 0 && !c.null["num_key_value_heads"] {
		c.orElse("num_key_value_heads", strconv.Itoa(kind.kvHeads))
	}
	c.orElse("max_position_embeddings", strconv.Itoa(kind.positions))
	m.llama(c)
	for i, w := range m.windows { // as the operator takes it: a wider one sees no more
		m.windows[i] = min(w, m.context)
	}
	m.window(c, layers)
	m.loops, m.auto = c.hinted(m.untrained(&c.opt))
	return m, c.done()
}

// layerKinds takes which of n layers have windows, and which have no RoPE.
func (f *base) layerKinds(c *config, kind plainKind, n int) {
	f.windows, f.unturned = make([]int, n), make([]bool, n)
	if kind.unturned {
		turned, every := []int{}, c.size("no_rope_layer_interval", 1, 1000, 4)
		if c.take("no_rope_layers", &turned) && len(turned) < n {
			c.fail("no_rope_layers has %d entries for num_hidden_layers %d", len(turned), n)
		}
		for i := range n {
			f.unturned[i] = len(turned) == 0 && (i+1)%every == 0 || i < len(turned) && turned[i] == 0
		}
	}
	on, first := true, 0
	if kind.switched {
		on = false
		c.take("use_sliding_window", &on)
		first = c.size("max_window_layers", 0, 1<<20, 28)
	}
	size := kind.window
	switch {
	case !on: // nobody looks at it
		c.take("sliding_window", new(any))
	case !c.lacks("sliding_window"):
		size = c.size("sliding_window", 1, math.MaxInt32, -1)
	case c.null["sliding_window"]:
		size = 0
	}
	var types []string
	if c.take("layer_types", &types) && len(types) != n {
		c.fail("layer_types has %d entries for num_hidden_layers %d", len(types), n)
		types = nil
	}
	for i := range n {
		windowed := on && size > 0 && i >= first
		if kind.unturned {
			windowed = on && size > 0 && f.unturned[i]
		}
		if types != nil {
			one := windowed
			windowed = types[i] == sliding
			switch {
			case !windowed && types[i] != "full_attention" || windowed && (!on || size == 0):
				c.fail("layer_types[%d] is %q, with use_sliding_window %v and sliding_window %d: must be full_attention, or sliding_attention where there is a window", i, types[i], on, size)
			case windowed != one && !kind.switched:
				c.fail("layer_types[%d] is %q, but sliding_window is %d, and upstream's code for this model_type goes by that alone in every layer: leave layer_types out, or make sliding_window null", i, types[i], size)
			}
		}
		if windowed {
			f.windows[i] = size
		}
	}
}

// biasKeys takes the keys that say which products have a bias.
func (f *base) biasKeys(c *config, attention, mlp bool) {
	if on := false; attention && c.take("attention_bias", &on) {
		f.biases.qkv, f.biases.o = on, on
	}
	if mlp {
		c.take("mlp_bias", &f.biases.mlp)
	}
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
