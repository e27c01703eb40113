package export

import (
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// ouro is ByteDance's Ouro (arXiv 2510.25741): all layers and the final norm are inside the loop, norms sandwich each
// branch, and after every loop a linear gate says how likely it is to stop there. The head reads the normed state as
// it is. Its early_exit_threshold chooses among loops that are all computed: here that is the exit policy of name@auto.
type ouro struct{ base }

func init() { families["ouro"] = newOuro }

func newOuro(c *config, _ hasTensor) (family, error) {
	m := &ouro{}
	if c.lacks("use_sliding_window") {
		c.ignore("sliding_window") // upstream's default is no window
	}
	m.llama(c)
	m.loop = c.size("num_hidden_layers", 1, 1000, -1)
	m.loops, m.auto = c.loops("total_ut_steps")
	m.gate = true
	if v := 1.0; c.take("early_exit_threshold", &v) && v < 1 && m.auto == nil {
		if v <= 0 {
			c.fail("early_exit_threshold is %v, must be positive", v)
		}
		m.auto = &bundle.Auto{ExitPolicy: "gate", ExitThreshold: v, Loops: m.loops.Default}
	}
	c.must("early_exit_step") // one loop for every token: requests say loops
	c.must("use_weighted_exit", "false")
	c.must("use_qk_norm", "false")
	return m, c.done()
}

func (m *ouro) build(b *builder) (prelude, block, coda *onnx.Graph) {
	gate := func(block *onnx.Graph) {
		b.exitGate(block, b.tensor("model.early_exit_gate.weight", 1, m.hidden), b.tensor("model.early_exit_gate.bias", 1))
	}
	return m.looped(b, branchSandwich, false, gate,
		"input_layernorm", "input_layernorm_2", "post_attention_layernorm", "post_attention_layernorm_2")
}

// exitGate appends the gate's logit for each row. It is float32 whatever the weights are: a threshold decides on it.
func (b *builder) exitGate(g *onnx.Graph, weight, bias *safetensors.Tensor) {
	logit := g.Node("", "Add", []string{b.linear(g, b.up(g, b.inner("hidden_out")), F32, weight), b.vector(g, bias)})
	g.NodeTo("", "Reshape", []string{logit, g.Ints("gate_shape", []int64{-1}, 1)}, []string{"gate"})
	g.Output("gate", onnx.Float, onnx.Dynamic("rows"))
}
