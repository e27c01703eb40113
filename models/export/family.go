package export

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// family builds the graphs of one model type.
type family interface {
	describe(m *bundle.Manifest)
	initial(kind string) (bundle.State, error)
	epsilon() float64 // of its norms
	chatTemplate() string
	build(b *builder) (prelude, block, coda *onnx.Graph)
}

// hasTensor reports whether the checkpoint has a tensor: some families are told apart by that alone.
type hasTensor func(tensor string) bool

// families by config.json's model_type; each family's file adds itself.
var families = map[string]func(c *config, has hasTensor) (family, error){}

// Families are the model types that can be exported, sorted.
func Families() []string { return slices.Sorted(maps.Keys(families)) }

// base is what every family has: sizes, layers by stage, loops, tokens. A family embeds it and builds on its graphs.
type base struct {
	hidden, ffn, vocab, context int
	width                       int // of a row's state; 0: hidden
	prelude, loop, coda         int // attention layers
	eps                         float64
	attention                   attentionSpec
	loops                       bundle.LoopRange
	trajectory                  *bundle.Trajectory // nil: the state depends on the loops done alone
	auto                        *bundle.Auto       // what name@auto stands for; nil leaves it to the server
	tokens                      bundle.Tokens
	inject                      bool
	noise                       *bundle.State // what upstream starts from; nil where the config names another distribution
	gate                        bool
	tied                        bool       // the head is the embedding
	biases                      biases     // of the families in Llama's names
	headNorms                   bool       // of those: a norm on each head of query and key
	windows                     []int      // of those: what each layer's rows see, themselves included; 0, nil: all before them
	unturned                    []bool     // of those: layers without RoPE; nil: none
	template                    string     // for chats, where the checkpoint has none
	policies                    []string   // of the KV cache, beside depth and latest
	free                        *trainFree // nil: the loop is the block, and nothing else
}

func (f *base) epsilon() float64 { return f.eps }

func (f *base) chatTemplate() string { return f.template }

func (f *base) describe(m *bundle.Manifest) {
	m.HiddenSize, m.VocabSize, m.Context = f.hidden, f.vocab, f.context
	m.Attention = f.attention.shape()
	m.Prelude.Layers, m.Block.Layers, m.Coda.Layers = f.prelude, f.loop, f.coda
	m.Loops, m.Tokens, m.Inject, m.Auto, m.Trajectory = f.loops, f.tokens, f.inject, f.auto, f.trajectory
	if f.gate {
		m.Gate = &bundle.Gate{Kind: "hazard"}
	}
	m.KVPolicies = append([]string{"depth", "latest"}, f.policies...)
}

// heads takes the attention's sizes from a config in Llama's words; def is the number of heads under another name, or −1.
func (f *base) heads(c *config, def int) {
	a := &f.attention
	a.heads = c.size("num_attention_heads", 1, 1<<12, def)
	a.kvHeads = c.size("num_key_value_heads", 1, 1<<12, a.heads)
	a.headDim = c.size("head_dim", 2, 512, max(2, f.hidden/a.heads))
	if a.heads%a.kvHeads != 0 {
		c.fail("num_attention_heads %d is not a multiple of num_key_value_heads %d", a.heads, a.kvHeads)
	}
	if a.headDim%2 != 0 {
		c.fail("head_dim is %d, must be even for RoPE", a.headDim)
		a.headDim++
	}
}

// llama takes what the families that descend from Llama have in common.
func (f *base) llama(c *config) {
	const most = 1 << 20
	f.hidden, f.ffn = c.size("hidden_size", 1, most, -1), c.size("intermediate_size", 1, most, -1)
	f.vocab, f.context = c.size("vocab_size", 1, 1<<24, -1), c.size("max_position_embeddings", 1, 1<<24, -1)
	f.eps = c.number("rms_norm_eps")
	f.heads(c, -1)
	f.attention.cos, f.attention.sin = c.rope("rope_theta", f.attention.headDim, f.context, "linear", "dynamic", "yarn")
	c.must("hidden_act", `"silu"`)
	c.must("attention_bias", "false")
	c.must("mlp_bias", "false")
	f.tied = c.tied(false, "tie_word_embeddings")
	if string(c.keys["use_sliding_window"]) == "false" {
		c.ignore("sliding_window")
	}
	c.must("use_sliding_window", "false")
	c.must("sliding_window")
	c.ignore("max_window_layers") // of windows, which are off
	var types []string
	if c.take("layer_types", &types) && slices.ContainsFunc(types, func(s string) bool { return s != "full_attention" }) {
		c.fail("layer_types is %v, but only full_attention is implemented", types)
	}
	f.settleTokens(c, false)
}

// lit takes what the families that descend from LitGPT have in common.
func (f *base) lit(c *config) {
	const most = 1 << 20
	f.hidden, f.ffn = c.size("n_embd", 1, most, -1), c.size("intermediate_size", 1, most, -1)
	vocab := c.size("vocab_size", 1, 1<<24, -1)
	f.vocab, f.context = c.size("padded_vocab_size", vocab, 1<<24, vocab), c.size("block_size", 1, 1<<24, -1)
	f.prelude, f.loop = c.size("n_layers_in_prelude", 0, 1000, -1), c.size("n_layers_in_recurrent_block", 1, 1000, -1)
	f.coda = c.size("n_layers_in_coda", 0, 1000, -1)
	f.eps = c.number("norm_eps")
	f.inject = true
}

// either takes a size under one of several names; def is as in size.
func (c *config) either(keys []string, high, def int) int {
	var a agreed[int]
	for _, key := range keys {
		c.note(key, keyHonoured)
		if !c.lacks(key) {
			a.say(c, key, c.size(key, 1, high, -1))
		}
	}
	if a.key == "" {
		return c.size(keys[0], 1, high, def)
	}
	return a.v
}

// first takes a size under the first of the names that is there, whatever stands under the others; def is as in size.
func (c *config) first(high, def int, keys ...string) int {
	at := max(0, slices.IndexFunc(keys, func(key string) bool { return !c.lacks(key) }))
	v := c.size(keys[at], 1, high, def)
	for _, key := range keys {
		c.note(key, keyHonoured)
		delete(c.keys, key)
	}
	return v
}

// same takes a size that may only repeat n; else the message goes on with why.
func (c *config) same(key string, n int, why string, args ...any) {
	if v := c.size(key, 1, 1<<20, n); v != n {
		c.fail("%s is %d, %s", key, v, fmt.Sprintf(why, args...))
	}
}

// widths are those of query, and of key or value.
func (f *base) widths() (q, kv int) {
	return f.attention.heads * f.attention.headDim, f.attention.kvHeads * f.attention.headDim
}

// llamaLayers are n layers from the stored layer `from` on in Llama's names; norms are the names of a layer's norms in order
// of use.
func (f *base) llamaLayers(b *builder, g *onnx.Graph, from, n int, norms ...string) []layer {
	q, kv := f.widths()
	layers := make([]layer, n)
	for i := range layers {
		t := b.weights(fmt.Sprintf("model.layers.%d", from+i))
		l := layer{
			qkv: []*safetensors.Tensor{
				t("self_attn.q_proj", q, f.hidden), t("self_attn.k_proj", kv, f.hidden), t("self_attn.v_proj", kv, f.hidden),
			},
			o:    t("self_attn.o_proj", f.hidden, q),
			fc:   []*safetensors.Tensor{t("mlp.gate_proj", f.ffn, f.hidden), t("mlp.up_proj", f.ffn, f.hidden)},
			proj: t("mlp.down_proj", f.hidden, f.ffn),
		}
		for _, name := range norms {
			l.norms = append(l.norms, t(name, f.hidden))
		}
		if f.headNorms {
			l.headNorms = []*safetensors.Tensor{t("self_attn.q_norm", f.attention.headDim), t("self_attn.k_norm", f.attention.headDim)}
		}
		if f.windows != nil {
			l.window, l.unturned = f.windows[from+i], f.unturned[from+i]
		}
		f.bias(b, g, &l)
		layers[i] = l
	}
	return layers
}

// bias adds a layer's biases.
func (f *base) bias(b *builder, g *onnx.Graph, l *layer) {
	if f.biases.qkv {
		l.bias = b.biasOf(g, l.qkv...)
	}
	if f.biases.o {
		l.oBias = b.biasOf(g, l.o)
	}
	if f.biases.mlp {
		l.fcBias, l.projBias = b.biasOf(g, l.fc...), b.biasOf(g, l.proj)
	}
}

// biasOf are the stored biases of products that are stacked to one, as an initializer of the activations' type.
func (b *builder) biasOf(g *onnx.Graph, weights ...*safetensors.Tensor) string {
	var all []float32
	key := ""
	for _, w := range weights {
		name := strings.TrimSuffix(w.Name, "weight") + "bias"
		all, key = append(all, b.values(b.tensor(name, int(w.Shape[0])))...), key+"+"+name
	}
	return b.numbers(g, b.act, key[1:], all, int64(len(all)))
}

// startPrelude begins the prelude and gives the embedded rows, times scale.
func (f *base) startPrelude(b *builder, table *safetensors.Tensor, scale float64) (g *onnx.Graph, x string) {
	g = onnx.NewGraph("prelude")
	x = b.gather(g, g.Input("input_ids", onnx.Int64, onnx.Dynamic("rows")), table)
	if scale != 1 {
		x = b.down(g, g.Node("", "Mul", []string{b.up(g, x), g.Floats("embedding_scale", []float32{float32(scale)})}))
	}
	return g, x
}

// Tables in Llama's names: of the tokens, and a head's that is not tied to it.
const (
	embedding = "model.embed_tokens.weight"
	untied    = "lm_head.weight"
)

// looped are the graphs of a model in Llama's names, of which all layers are looped, or those in the middle. The final norm is
// at the end of every loop, or normOnce before the head. more, where not nil, goes on with the block.
func (f *base) looped(b *builder, p placement, normOnce bool, more func(block *onnx.Graph), norms ...string) (prelude, block, coda *onnx.Graph) {
	embed := b.tensor(embedding, f.vocab, f.hidden)
	prelude, x := f.startPrelude(b, embed, 1)
	entry := b.inner("hidden")
	if f.width > 0 { // the anchor's place is filled by the first loop
		entry = "entry"
	}
	b.stack(prelude, f.attention, p, x, f.llamaLayers(b, prelude, 0, f.prelude, norms...), nil, entry)
	if f.width > 0 {
		prelude.NodeTo("", "Concat", []string{entry, entry}, []string{b.inner("hidden")}, onnx.Attr{Name: "axis", V: 1})
	}
	f.emit(b, prelude, "hidden")

	inLoop := b.tensor("model.norm.weight", f.hidden)
	var inCoda *safetensors.Tensor
	if normOnce {
		inLoop, inCoda = nil, inLoop
	}
	block, h := f.startBlock(b)
	h, anchor := f.parts(block, h)
	layers := f.llamaLayers(b, block, f.prelude, f.loop, norms...)
	if f.free != nil {
		b.stack(block, f.attention, p, h, layers, nil, "natural")
		f.step(b, block, h, "natural", anchor)
	} else {
		b.stack(block, f.attention, p, h, layers, inLoop, b.inner("hidden_out"))
		f.finishBlock(b, block, h)
	}
	if more != nil {
		more(block)
	}

	coda, h = f.startCoda(b)
	h, anchor = f.parts(coda, h)
	h = f.blend(b, coda, h, anchor)
	if f.coda > 0 {
		b.stack(coda, f.attention, p, h, f.llamaLayers(b, coda, f.prelude+f.loop, f.coda, norms...), nil, "last")
		h = "last"
	}
	f.finishCoda(b, coda, h, inCoda, f.head(b, embed))
	b.leftover("rotary_emb.inv_freq")
	return prelude, block, coda
}

// startBlock begins the block; with an injection, the input inject is declared too. The paging inputs come with the
// first layer.
func (f *base) startBlock(b *builder) (g *onnx.Graph, h string) {
	g = onnx.NewGraph("block")
	h = f.state(b, g, "hidden")
	if f.inject {
		f.state(b, g, "inject")
	}
	return g, h
}

// finishBlock declares the block's outputs, which stand under hidden_out.
func (f *base) finishBlock(b *builder, g *onnx.Graph, h string) {
	f.emit(b, g, "hidden_out")
	b.relativeChange(g, h, b.inner("hidden_out"))
}

// startCoda begins the coda.
func (f *base) startCoda(b *builder) (g *onnx.Graph, h string) {
	g = onnx.NewGraph("coda")
	h = f.state(b, g, "hidden")
	g.Input("logit_rows", onnx.Int64, onnx.Dynamic("logits"))
	return g, h
}

// head is the table that a tied model has for both ends, or one of its own. A tied one may be stored too, as the same numbers.
func (f *base) head(b *builder, embed *safetensors.Tensor) *safetensors.Tensor {
	if f.tied && b.ckpt.Tensor(untied) == nil {
		return embed
	}
	own := b.tensor(untied, f.vocab, f.hidden)
	if !f.tied {
		return own
	}
	if b.err != nil {
		return embed
	}
	switch same, err := safetensors.Equal(own, embed); {
	case err != nil:
		b.fail("%v", err)
	case !same:
		b.fail("config.json: tie_word_embeddings (or tie_embeddings) is true, but %s has other numbers than %s: set it to false to use that head, or remove the tensor", own.Name, embed.Name)
	}
	return embed
}

// finishCoda appends norm (where there is one) and head on the rows of which logits are wanted.
func (f *base) finishCoda(b *builder, g *onnx.Graph, h string, norm, head *safetensors.Tensor) {
	h = g.Node("", "Gather", []string{h, "logit_rows"}, onnx.Attr{Name: "axis", V: 0})
	if norm != nil {
		h = b.norm(g, h, norm)
	}
	f.readOut(b, g, h, head, "")
}

// readOut appends the head on the rows h, and where scale names a vector, that times the logits.
func (f *base) readOut(b *builder, g *onnx.Graph, h string, head *safetensors.Tensor, scale string) {
	g.NodeTo("", "Identity", []string{b.up(g, h)}, []string{"final_hidden"})
	b.logits(g, h, head, scale)
	g.Output("logits", onnx.Float, onnx.Dynamic("logits"), onnx.Fixed(f.vocab))
	g.Output("final_hidden", onnx.Float, onnx.Dynamic("logits"), onnx.Fixed(f.hidden))
}

// state declares an input [rows, width] and gives what stands for it inside the graph; emit declares an output. Of what is
// injected the width is always hidden.
func (f *base) state(b *builder, g *onnx.Graph, name string) string {
	return b.take(g, name, onnx.Dynamic("rows"), onnx.Fixed(f.widthOf(name)))
}

func (f *base) emit(b *builder, g *onnx.Graph, name string) {
	b.emit(g, name, onnx.Dynamic("rows"), onnx.Fixed(f.widthOf(name)))
}

func (f *base) widthOf(name string) int {
	if name == "inject" {
		return f.hidden
	}
	return cmp.Or(f.width, f.hidden)
}

// parts are a state's first hidden numbers and what stands behind them; "" where it has no more.
func (f *base) parts(g *onnx.Graph, state string) (first, rest string) {
	if f.width == 0 {
		return state, ""
	}
	both := split(g, state, 2)
	return both[0], both[1]
}

// States of Options.
const (
	StateZeros  = "zeros"
	StateNormal = "normal"
)

// initial is the state before the first loop. The families that inject start from noise upstream, drawn anew at every
// call: zeros are the default because then a request repeats without a seed, requests of different seeds share their
// prefixes, and zeros are what the other servers of these models take. normal has upstream's width, drawn from the
// request's seed and the row's position.
func (f *base) initial(kind string) (bundle.State, error) {
	switch {
	case !f.inject && kind == StateNormal:
		return bundle.State{}, fmt.Errorf("state is %q, but this family starts from the prelude's output", kind)
	case !f.inject:
		return bundle.State{Kind: "prelude", Width: f.width}, nil
	case kind == StateZeros:
		return bundle.State{Kind: "zeros"}, nil
	case f.noise == nil:
		return bundle.State{}, fmt.Errorf("state is %q, but config.json's state_init and init_values do not give its width (only state_init like-init is implemented)", kind)
	}
	return *f.noise, nil
}
