package export

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// dory is NVIDIA's Dory (arXiv 2611.03998): everything lives on a sphere. n(x) = x/√(Σx² + 1e-6) without gain stands where others
// have a norm, a branch is not added but the state moved towards it, λ of the way by channel, query and key have length 1, and
// learned scales stand in gate, MLP and logits. Each loop starts from n(x) + n(what the input layers left).
type dory struct {
	base
	kinds    []string             // of attention, by layer
	tables   map[string]ropeTable // by kind
	window   int                  // of the kind sliding
	r, alpha float64              // learned scales are stored as s·r; λ is α·s
	lastLoop bool                 // one plane, as the config wants it
}

type ropeTable struct{ cos, sin []float32 }

const (
	sliding    = "sliding_attention"
	sphereEps  = 1e-6
	halfLayers = "backbone.layers.0.mixer.q_proj.weight" // as released, each layer is two
)

func init() { families["dory"] = newDory }

func newDory(c *config, _ hasTensor) (family, error) {
	const most = 1 << 20
	m := &dory{}
	m.hidden, m.ffn = c.size("hidden_size", 1, most, -1), c.size("intermediate_size", 1, most, -1)
	m.vocab, m.context = c.size("vocab_size", 1, 1<<24, -1), c.size("max_position_embeddings", 1, 1<<24, -1)
	a := &m.attention
	a.heads = c.either([]string{"num_attention_heads", "swa_num_attention_heads"}, 1<<12, -1)
	a.kvHeads = c.either([]string{"num_key_value_heads", "swa_num_key_value_heads"}, 1<<12, -1)
	a.headDim = c.either([]string{"head_dim", "attention_head_dim", "swa_head_dim"}, 512, -1)
	if a.heads%a.kvHeads != 0 || a.headDim%2 != 0 {
		c.fail("num_attention_heads is %d, num_key_value_heads %d and head_dim %d: needs a multiple, and an even width", a.heads, a.kvHeads, a.headDim)
		a.kvHeads, a.headDim = a.heads, 2
	}
	m.layers(c)
	window := -1
	if !slices.Contains(m.kinds, sliding) {
		window = m.context // nobody looks at it
	}
	m.window = min(c.either([]string{"sliding_window", "swa_window_size"}, math.MaxInt32, window), m.context)
	m.angles(c)
	var r agreed[float64]
	for _, key := range []string{"initializer_range", "init_method_std"} {
		if !c.lacks(key) {
			r.say(c, key, c.number(key))
		}
	}
	m.r, m.alpha = c.positive("initializer_range", r.v), c.number("ngpt_alpha_init")
	mode := "per_loop"
	if c.take("recurrent_kv_cache_mode", &mode); mode != "per_loop" && mode != "last_loop" {
		c.fail("recurrent_kv_cache_mode is %q, must be per_loop or last_loop", mode)
	}
	m.lastLoop = mode == "last_loop"
	c.must("hidden_act", `"silu"`)
	c.must("mlp_hidden_act", `"silu"`)
	c.must("attention_bias", "false")
	c.must("mlp_bias", "false")
	c.must("attention_output_gate", "true")
	c.must("attention_output_gate_logit_scale_init")
	c.must("tie_word_embeddings", "false")
	c.must("ngpt", "true")
	c.must("fngpt", "true")
	c.must("ngpt_enable_final_norm", "false")
	c.must("input_transform", `"residual"`)
	c.must("output_transform", `"replace"`)
	c.must("initial_state", `"input_copy"`)
	c.must("mixer_type")
	c.must("dory_format_version", "1")
	c.must("partial_rotary_factor_2", "1")
	var bare []int
	if c.take("no_rope_layers", &bare); slices.ContainsFunc(bare, func(n int) bool { return n != 0 }) {
		c.fail("no_rope_layers is %v, but layers without RoPE are not implemented (only zeros)", bare)
	}
	m.loops, m.auto = c.loops("n_recurrent_loops")
	m.inject = true
	m.settleTokens(c, false)
	return m, c.done()
}

// layers takes how many there are and of which kind. Released configs count attention and MLP apart, in layer_types, in
// hybrid_layer_pattern, or in both.
func (m *dory) layers(c *config) {
	var types []string
	c.take("layer_types", &types)
	pattern := ""
	if c.take("hybrid_layer_pattern", &pattern) {
		var halves []string
		for _, kind := range pattern {
			halves = append(halves, map[rune]string{'S': sliding, '*': "full_attention", '-': "mlp"}[kind])
		}
		if types != nil && slices.Contains(types, "mlp") && !slices.Equal(types, halves) {
			c.fail("hybrid_layer_pattern is %q, but layer_types is %v: keep the one that is right", pattern, types)
		}
		if types == nil {
			types = halves
		}
	}
	per := 1
	if slices.Contains(types, "mlp") {
		per = 2
	}
	count := func(key string, def int) int {
		n := c.size(key, 0, 2000, def)
		if n%per != 0 {
			c.fail("%s is %d, but layer_types holds mlp, so it counts halves and must be even", key, n)
		}
		return n / per
	}
	n := count("num_hidden_layers", -1)
	m.prelude, m.coda = count("n_input_layers", -1), count("n_output_layers", -1)
	m.loop = count("n_recurrent_layers", max(0, per*(n-m.prelude-m.coda)))
	if m.prelude+m.loop+m.coda != n || m.loop == 0 {
		c.fail("num_hidden_layers is %d, but n_input_layers, n_recurrent_layers and n_output_layers are %d + %d + %d", n, m.prelude, m.loop, m.coda)
	}
	for i, kind := range types {
		switch {
		case per == 2 && i%2 == 1 && kind == "mlp":
		case per == 2 && i%2 == 1, kind != sliding && kind != "full_attention":
			c.fail("layer_types (or hybrid_layer_pattern) has %q at %d: only sliding_attention and full_attention are implemented, each with its mlp", kind, i)
			return
		default:
			m.kinds = append(m.kinds, kind)
		}
	}
	if len(m.kinds) != n {
		c.fail("layer_types (or hybrid_layer_pattern) has %d layers, but num_hidden_layers is %d", len(m.kinds), n)
	}
}

// angles takes RoPE's bases by kind: from rope_parameters, from rope_theta and rope_theta_2 with rope_profile_layers, or both.
func (m *dory) angles(c *config) {
	m.tables = map[string]ropeTable{}
	var byKind map[string]json.RawMessage
	c.take("rope_parameters", &byKind)
	var theta [2]float64
	c.take("rope_theta", &theta[0])
	c.take("rope_theta_2", &theta[1])
	var profiles []int
	c.take("rope_profile_layers", &profiles)
	step := max(1, len(profiles)/max(1, len(m.kinds))) // profiles are of halves, too
	for i, kind := range m.kinds {
		second := kind != sliding
		if profiles != nil && i*step < len(profiles) && (profiles[i*step] == 2) != second {
			c.fail("rope_profile_layers is %v, but layer %d is of %s: only profile 1 for sliding and 2 for full attention is implemented", profiles, i, kind)
			return
		}
		if _, done := m.tables[kind]; done {
			continue
		}
		key, own := "rope_theta", theta[0]
		if second {
			key, own = "rope_theta_2", theta[1]
		}
		one := &config{keys: map[string]json.RawMessage{}}
		if own != 0 {
			one.keys[key] = fmt.Append(nil, own)
		}
		if raw, ok := byKind[kind]; ok {
			one.keys["rope_parameters"] = raw
		}
		cos, sin := one.rope(key, m.attention.headDim, m.context, "linear", "dynamic", "yarn")
		for _, err := range one.errs {
			c.errs = append(c.errs, fmt.Errorf("%w (of %s)", err, kind))
		}
		m.tables[kind] = ropeTable{cos, sin}
	}
}

func (m *dory) describe(f *bundle.Manifest) {
	m.base.describe(f)
	f.KVPolicies = []string{"depth", "last_loop"}
	if m.lastLoop {
		slices.Reverse(f.KVPolicies)
	}
}

// initial is the prelude's output: the injection is beside it, not in its place.
func (m *dory) initial(kind string) (bundle.State, error) {
	if kind == StateNormal {
		return bundle.State{}, fmt.Errorf("state is %q, but this family starts from the prelude's output", kind)
	}
	return bundle.State{Kind: "prelude"}, nil
}

// sphere is n(x), of rows (or heads) of a width.
func (b *builder) sphere(g *onnx.Graph, x string, width int) string {
	return b.normBy(g, x, b.constant(g, width, float32(1/math.Sqrt(float64(width)))), sphereEps/float64(width))
}

// scaled appends x times a vector of the activations' type: a stored one after f.
func (b *builder) scaled(g *onnx.Graph, x string, t onnx.Type, f func(v float64) float64, vectors ...*safetensors.Tensor) string {
	var all []float32
	key := ""
	for _, v := range vectors {
		for _, s := range b.values(v) {
			all = append(all, float32(f(float64(s))))
		}
		key += "+" + v.Name
	}
	return g.Node("", "Mul", []string{x, b.numbers(g, t, key[1:]+".scale", all, int64(len(all)))})
}

// stack appends n layers from layer `from` on.
func (m *dory) stack(b *builder, g *onnx.Graph, h string, from, n int, output string) {
	if n > 0 {
		m.attention.paging(b, g)
	}
	move := func(x, to string, λ *safetensors.Tensor) string {
		gap := g.Node("", "Sub", []string{to, x})
		return b.add(g, x, b.scaled(g, gap, b.act, func(v float64) float64 { return math.Abs(v * m.alpha / m.r) }, λ))
	}
	for i := range n {
		t := m.names(b, from+i)
		x := b.sphere(g, h, m.hidden)
		h = move(x, b.sphere(g, m.attend(b, g, t, x, from+i, i, n), m.hidden), t("lambda_1", m.hidden))
		x = b.sphere(g, h, m.hidden)
		h = move(x, b.sphere(g, m.mlp(b, g, t, x), m.hidden), t("lambda_2", m.hidden))
	}
	b.named(g, h, output)
}

// names gives layer i's tensors by their names in transformers, in whichever layout they are stored.
func (m *dory) names(b *builder, i int) func(name string, shape ...int) *safetensors.Tensor {
	halves := b.ckpt.Tensor(halfLayers) != nil
	return func(name string, shape ...int) *safetensors.Tensor {
		if len(shape) == 2 {
			name += ".weight"
		}
		if !halves {
			return b.tensor(fmt.Sprintf("backbone.layers.%d.%s", i, name), shape...)
		}
		part, rest, _ := strings.Cut(name, ".")
		at, half := 2*i, "mixer."+rest
		switch part {
		case "lambda_1":
			half = "attn_alpha"
		case "lambda_2":
			at, half = at+1, "mlp_alpha"
		case "mlp":
			at++
		}
		return b.tensor(fmt.Sprintf("backbone.layers.%d.%s", at, half), shape...)
	}
}

// attend appends the attention of layer i, the at-th of n in its stage: RoPE stands outside the operator, since the query's scale
// comes after it.
func (m *dory) attend(b *builder, g *onnx.Graph, t func(string, ...int) *safetensors.Tensor, x string, i, at, n int) string {
	q, kv := m.widths()
	a, kind := m.attention, m.kinds[i]
	all := b.linear(g, x, b.opt.Weights, t("self_attn.q_proj", q, m.hidden), t("self_attn.k_proj", kv, m.hidden),
		t("self_attn.v_proj", kv, m.hidden), t("self_attn.g_proj", q, m.hidden))
	parts := g.NodeN("", "Split", []string{all, g.Ints("qk_v_g", []int64{int64(q + kv), int64(kv), int64(q)}, 3)}, 3, onnx.Attr{Name: "axis", V: 1})
	shape := func(x, name string, dims ...int64) string {
		return g.Node("", "Reshape", []string{x, g.Ints(name, dims, int64(len(dims)))})
	}
	heads := b.up(g, b.sphere(g, shape(parts[0], "qk_heads", -1, int64(a.heads+a.kvHeads), int64(a.headDim)), a.headDim))
	places := asColumn(g, "position_ids", onnx.Int64)
	table := func(name string, values []float32) string {
		return b.floats(g, "rope_"+name+"_"+kind, values, int64(m.context), int64(a.headDim/2))
	}
	turned := g.Node(onnx.Microsoft, "RotaryEmbedding", []string{
		shape(heads, "qk_turn", -1, 1, int64(q+kv)), places, table("cos", m.tables[kind].cos), table("sin", m.tables[kind].sin),
	})
	qk := g.NodeN("", "Split", []string{shape(turned, "qk_row", -1, int64(q+kv)), g.Ints("q_k", []int64{int64(q), int64(kv)}, 2)}, 2, onnx.Attr{Name: "axis", V: 1})
	scale := func(v float64) float64 { return v / m.r * v / m.r * float64(a.headDim) }
	query := b.scaled(g, qk[0], onnx.Float, scale, t("self_attn.sqk", q))
	if kind == sliding {
		a.window = m.window
	}
	y := b.attend(g, a, []string{b.down(g, query), b.down(g, qk[1]), parts[1]}, at, n)
	gate := b.scaled(g, parts[2], b.act, func(v float64) float64 { return v / m.r * v / m.r * math.Sqrt(float64(m.hidden)) }, t("self_attn.s_gate", q))
	y = g.Node("", "Mul", []string{y, g.Node("", "Sigmoid", []string{gate})})
	return b.linear(g, b.sphere(g, y, q), b.opt.Weights, t("self_attn.o_proj", m.hidden, q))
}

// mlp appends a layer's MLP.
func (m *dory) mlp(b *builder, g *onnx.Graph, t func(string, ...int) *safetensors.Tensor, x string) string {
	wide := b.linear(g, x, b.opt.Weights, t("mlp.gate_proj", m.ffn, m.hidden), t("mlp.up_proj", m.ffn, m.hidden))
	scale := func(v float64) float64 { return v * math.Sqrt(float64(m.hidden)) }
	wide = b.scaled(g, wide, b.act, scale, t("mlp.suv_gate", m.ffn), t("mlp.suv_up", m.ffn))
	halves := split(g, wide, 2)
	u := g.Node("", "Mul", []string{b.silu(g, halves[0]), halves[1]})
	return b.linear(g, b.sphere(g, u, m.ffn), b.opt.Weights, t("mlp.down_proj", m.hidden, m.ffn))
}

func (m *dory) build(b *builder) (prelude, block, coda *onnx.Graph) {
	prelude, x := m.startPrelude(b, b.tensor("backbone.embeddings.weight", m.vocab, m.hidden), 1)
	m.stack(b, prelude, x, 0, m.prelude, b.inner("hidden"))
	b.named(prelude, b.sphere(prelude, b.inner("hidden"), m.hidden), b.inner("inject"))
	m.emit(b, prelude, "hidden")
	m.emit(b, prelude, "inject")

	block, h := m.startBlock(b)
	x = b.add(block, b.sphere(block, h, m.hidden), b.inner("inject"))
	m.stack(b, block, x, m.prelude, m.loop, b.inner("hidden_out"))
	m.finishBlock(b, block, h)

	coda, h = m.startCoda(b)
	m.stack(b, coda, h, m.prelude+m.loop, m.coda, "last")
	h = b.sphere(coda, coda.Node("", "Gather", []string{"last", "logit_rows"}, onnx.Attr{Name: "axis", V: 0}), m.hidden)
	scale := b.values(b.tensor("lm_head.logit_scale", m.vocab))
	for i := range scale {
		scale[i] = float32(float64(scale[i]) / m.r)
	}
	m.readOut(b, coda, h, b.tensor(untied, m.vocab, m.hidden), b.floats(coda, "logit_scale", scale, int64(m.vocab)))
	b.leftover("rotary_emb.inv_freq")
	return prelude, block, coda
}
