package export

import (
	"fmt"
	"math"
	"strings"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// loopFormer is LoopFormer (arXiv 2602.11451): a GPT of which all layers are looped, and each layer's norms are scaled and its
// branches gated by vectors made of where the row is on its way (t) and how far this loop goes (dt). Positions are learned; the
// head is the embedding.
type loopFormer struct{ base }

func init() { families["loopformer"] = newLoopFormer }

// trainedSteps is upstream's default: training cuts the way into eighths. Its configs do not say it.
const trainedSteps = 8

func newLoopFormer(c *config, _ hasTensor) (family, error) {
	const most = 1 << 20
	m := &loopFormer{}
	m.hidden = c.first(most, -1, "n_embd", "hidden_size")
	m.loop = c.first(1000, 3, "n_layer", "num_hidden_layers")
	m.ffn = c.first(most, 4*m.hidden, "intermediate_dim", "n_inner")
	m.vocab, m.context = c.size("vocab_size", 1, 1<<24, 50304), c.first(1<<24, 1024, "block_size", "n_positions", "max_position_embeddings")
	a := &m.attention
	a.heads = c.first(1<<12, 32, "n_head", "num_attention_heads")
	a.kvHeads, a.headDim = a.heads, m.hidden/a.heads
	if a.heads*a.headDim != m.hidden {
		c.fail("n_embd (or hidden_size) is %d, must be a multiple of n_head (or num_attention_heads), %d", m.hidden, a.heads)
	}
	on := false
	c.take("bias", &on)
	m.biases = biases{qkv: on, o: on, mlp: on}
	c.must("tie_word_embeddings", "true")
	m.tied, m.eps = true, torchEpsilon
	m.loops, m.auto = c.hinted(bundle.LoopRange{Min: 1, Default: trainedSteps, Trained: trainedSteps, Max: 2 * trainedSteps})
	m.trajectory = &bundle.Trajectory{Choice: true, Grid: m.loops.Trained}
	m.settleTokens(c, false)
	return m, c.done()
}

// tensorName takes off what a model was wrapped in, as upstream's loader does, and torch.compile's prefix, as its sampler does.
func (m *loopFormer) tensorName(stored string) string {
	for _, prefix := range []string{"gpt.", "model.", "module.", "_orig_mod."} {
		if name, ok := strings.CutPrefix(stored, prefix); ok {
			return m.tensorName(name)
		}
	}
	return stored
}

func (m *loopFormer) build(b *builder) (prelude, block, coda *onnx.Graph) {
	t := b.weights("transformer")
	table := "transformer.wte.weight"
	if b.ckpt.Tensor(table) == nil { // either of the pair may be missing
		table = untied
	}
	embed := b.tensor(table, m.vocab, m.hidden)
	prelude, x := m.startPrelude(b, embed, 1)
	all := b.numbers(prelude, b.act, "positions", b.values(t("wpe", m.context, m.hidden)), int64(m.context), int64(m.hidden))
	places := prelude.Input("position_ids", onnx.Int64, onnx.Dynamic("rows"))
	place := prelude.Node("", "Gather", []string{all, places}, onnx.Attr{Name: "axis", V: 0})
	prelude.NodeTo("", "Add", []string{x, place}, []string{b.inner("hidden")})
	m.emit(b, prelude, "hidden")

	block, before := m.startBlock(b)
	m.attention.paging(b, block)
	where, rows := m.where(b, block)
	h := before
	for i := range m.loop {
		l, mod := m.layer(b, block, i, where, rows)
		mul := func(x, by string) string { return block.Node("", "Mul", []string{x, by}) }
		h = b.add(block, h, mul(b.attention(block, m.attention, l, mul(b.gainless(block, h, m.hidden), mod[2]), i, m.loop), mod[0]))
		h = b.add(block, h, mul(b.mlp(block, l, mul(b.gainless(block, h, m.hidden), mod[3])), mod[1]))
	}
	b.named(block, h, b.inner("hidden_out"))
	m.finishBlock(b, block, before)

	coda, h = m.startCoda(b)
	m.finishCoda(b, coda, h, t("norm_f", m.hidden), m.head(b, embed))
	b.leftover(".attn.bias") // a mask that old PyTorch stores
	return prelude, block, coda
}

// where is silu of the sum of both embeddings of a row's place on its way, in float32. Rows of a span are at one place: each place
// is embedded once, and rows, where not "", say which one is theirs.
func (m *loopFormer) where(b *builder, g *onnx.Graph) (where, rows string) {
	var at [2]string
	for i, name := range []string{"time", "step"} {
		at[i] = asColumn(g, name, onnx.Float)
	}
	if b.act == onnx.Float { // CUDA has no kernel for it, and rows to spare
		rows = g.Name("rows")
		places := g.Name("places")
		both := g.Node("", "Concat", at[:], onnx.Attr{Name: "axis", V: 1})
		g.NodeTo("", "Unique", []string{both}, []string{places, "", rows}, onnx.Attr{Name: "axis", V: 0})
		copy(at[:], split(g, places, 2))
	}
	const pairs = 128
	frequencies := make([]float32, pairs)
	for i := range frequencies {
		frequencies[i] = float32(math.Pow(10000, -float64(i)/pairs))
	}
	sum := ""
	for i, name := range []string{"time_embedder", "dt_embedder"} {
		angle := g.Node("", "Mul", []string{at[i], b.floats(g, "frequencies", frequencies, 1, pairs)})
		x := g.Node("", "Concat", []string{g.Node("", "Cos", []string{angle}), g.Node("", "Sin", []string{angle})}, onnx.Attr{Name: "axis", V: 1})
		x = b.silu(g, m.affine(b, g, F32, x, name+".mlp.0", m.hidden, 2*pairs))
		x = m.affine(b, g, F32, x, name+".mlp.2", m.hidden, m.hidden)
		if sum != "" {
			x = g.Node("", "Add", []string{sum, x})
		}
		sum = x
	}
	return b.silu(g, sum), rows
}

// affine appends a product and its bias, of the activations' type but for weights in float32.
func (m *loopFormer) affine(b *builder, g *onnx.Graph, weights, x, name string, out, in int) string {
	w, of := b.tensor(name+".weight", out, in), b.act
	if weights == F32 {
		of = onnx.Float
	}
	bias := b.tensor(name+".bias", out)
	return biased(g, b.linear(g, x, weights, w), b.numbers(g, of, bias.Name, b.values(bias), int64(out)))
}

// layer is layer i, and each row's gates of its attention and MLP and the factors of their norms, in this order.
func (m *loopFormer) layer(b *builder, g *onnx.Graph, i int, where, rows string) (layer, []string) {
	at := fmt.Sprintf("transformer.h.blocks.%d", i)
	t := b.weights(at)
	l := layer{
		qkv: []*safetensors.Tensor{t("attn.c_attn", 3*m.hidden, m.hidden)}, o: t("attn.c_proj", m.hidden, m.hidden),
		fc: []*safetensors.Tensor{t("mlp.c_fc", m.ffn, m.hidden)}, proj: t("mlp.c_proj", m.hidden, m.ffn), activation: gelu,
	}
	m.bias(b, g, &l)
	all := m.affine(b, g, b.opt.Weights, b.down(g, where), at+".adaLN_modulation.1", 4*m.hidden, m.hidden)
	if rows != "" {
		all = g.Node("", "Gather", []string{all, rows}, onnx.Attr{Name: "axis", V: 0})
	}
	parts := split(g, all, 4)
	one := b.numbers(g, b.act, "one", []float32{1}, 1)
	for _, factor := range parts[2:] {
		parts = append(parts, g.Node("", "Add", []string{factor, one}))
	}
	return l, append(parts[:2], parts[4:]...)
}
