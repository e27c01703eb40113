package bundle

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The operators that a bundle may use, by domain: functions of tensors whose work is bounded by the sizes of what they
// read and write. Control flow, sequences, strings and random numbers are not among them, and neither are kernels that
// nobody here has looked at.
var operators = map[string]map[string]bool{
	"": words(`Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention BatchNormalization BitShift BitwiseAnd BitwiseNot
		BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Compress Concat Constant ConstantOfShape Conv Cos Cosh CumSum DepthToSpace
		DequantizeLinear Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND
		Gelu Gemm Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN
		LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization MatMul MatMulInteger Max Mean Min Mish Mod Mul Neg
		NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RMSNormalization Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
		ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape RotaryEmbedding Round
		ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign SimplifiedLayerNormalization Sin Sinh Size Slice Softmax Softplus
		Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze
		Where Xor`),
	"com.microsoft": words(`BiasGelu FastGelu GatherBlockQuantized Gelu MatMulNBits PagedAttention QuickGelu RotaryEmbedding
		SimplifiedLayerNormalization SkipLayerNormalization SkipSimplifiedLayerNormalization`),
	"loopserve": words(`PackedLinear PagedAttention QuantLinear RelativeChange`),
}

func words(text string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(text) {
		out[w] = true
	}
	return out
}

// known refuses operators that are not in the list.
func (n *Node) known() error {
	if n.domain == "ai.onnx" {
		n.domain = ""
	}
	of, ok := operators[n.domain]
	switch {
	case !ok:
		return fmt.Errorf("its domain %q is unknown: a bundle may use ONNX's own, com.microsoft and loopserve", n.domain)
	case !of[n.Op]:
		return fmt.Errorf("the operator is not one of those that a bundle may use (docs/bundle-format.md): export the model without it")
	}
	return nil
}

// bound is what an integer attribute of an operator of ours may be. A node without it has def.
type bound struct {
	name           string
	low, high, def int64
}

// checkOurs holds nodes of our operators to the manifest, and to what their kernels are written for: no number of theirs
// may say of memory what the engine does not know. The kernels check the same again.
func (g *ONNX) checkOurs(layers int, m *Manifest) error {
	a, depth := m.Attention, int64(max(layers, 1))
	attention := []bound{
		{"num_heads", int64(a.Heads), int64(a.Heads), 0},
		{"kv_num_heads", int64(a.KVHeads), int64(a.KVHeads), 0},
		{"num_layers", depth, depth, 1},
		{"layer", 0, depth - 1, 0},
		{"qk_norm", 0, 2, 0},
		{"do_rotary", 0, 1, 0},
		{"rotary_interleaved", 0, 1, 0},
		{"local_window_size", -1, 1 << 24, -1},
	}
	if m.Provider == ProviderCUDA { // layers are in the page table
		attention = slices.Delete(attention, 2, 5)
	}
	product := []bound{{"K", 1, 1 << 24, 0}, {"N", 1, 1 << 28, 0}, {"bits", 4, 32, 0}, {"scale_bits", 8, 16, 16}, {"activation", 0, 1, 0}}
	fed := g.isInput("key_cache") && g.isInput("value_cache")
	var seen []int64
	for _, n := range g.Nodes {
		bounds := product
		switch {
		case n.Op == "PagedAttention":
			bounds = attention
			if !fed || len(n.Inputs) < 5 || n.Inputs[3] != "key_cache" || n.Inputs[4] != "value_cache" {
				return fmt.Errorf("node %q (PagedAttention): its inputs 3 and 4 must be key_cache and value_cache, which the engine feeds: neither a constant nor another node's result is written", n.name)
			}
			layer := n.Ints["layer"]
			if slices.Contains(seen, layer) && m.Provider != ProviderCUDA {
				return fmt.Errorf("node %q (PagedAttention): layer is %d, as another node's: each has its own", n.name, layer)
			}
			seen = append(seen, layer)
		case n.domain != "loopserve", n.Op == "RelativeChange":
			continue
		}
		for _, b := range bounds {
			v, ok := n.Ints[b.name]
			if !ok {
				v = b.def
			}
			if v < b.low || v > b.high {
				return fmt.Errorf("node %q (%s): %s is %d, must be %d to %d", n.name, n.Op, b.name, v, b.low, b.high)
			}
		}
		for name, v := range n.floats {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) || f < 0 && name != "weight_scale" {
				return fmt.Errorf("node %q (%s): %s is %v, must be a number that is not negative", n.name, n.Op, name, v)
			}
		}
	}
	return nil
}

// isInput says that somebody feeds the name: it is an input, and neither an initializer nor a node's result takes its place.
func (g *ONNX) isInput(name string) bool {
	_, stored := g.Initializers[name]
	return !stored && slices.ContainsFunc(g.inputs, func(v tensorInfo) bool { return v.name == name }) &&
		!slices.ContainsFunc(g.Nodes, func(n Node) bool { return slices.Contains(n.Outputs, name) })
}
