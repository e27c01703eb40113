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
	"": words(samesize + elementwise + `Attention BatchNormalization Concat ConstantOfShape Conv Einsum EyeLike Expand Gather
		GatherElements GatherND Gemm MatMul MatMulInteger NonZero OneHot Pad Range RotaryEmbedding Tile`),
	"com.microsoft": words(`BiasGelu FastGelu GatherBlockQuantized Gelu MatMulNBits PagedAttention QuickGelu RotaryEmbedding
		SimplifiedLayerNormalization SkipLayerNormalization SkipSimplifiedLayerNormalization`),
	"loopserve": words(`PackedLinear PagedAttention QuantLinear`),
}

// samesize are those whose results are no larger than the largest of their inputs, and take as little work; Shape's and
// Size's are larger only where that is a number.
const samesize = `Abs Acos Acosh ArgMax ArgMin Asin Asinh Atan Atanh BitwiseNot Cast CastLike Ceil Celu Clip Compress Constant Cos Cosh CumSum
	DepthToSpace DequantizeLinear DynamicQuantizeLinear Elu Erf Exp Flatten Floor Gelu GroupNormalization HardSigmoid HardSwish
	Hardmax Identity InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu Log LogSoftmax LpNormalization Mish Neg Not
	QuantizeLinear RMSNormalization Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
	ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign
	SimplifiedLayerNormalization Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Swish Tan Tanh
	ThresholdedRelu TopK Transpose Trilu Unique Unsqueeze `

// elementwise are those whose results have the larger of each dimension.
const elementwise = `Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min
	Mod Mul Or Pow PRelu Sub Sum Where Xor `

var sameSize, elementWise = words(samesize), words(elementwise)

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

// maxFolded bounds the numbers that are computed from constants alone, beyond twice those that are stored.
const maxFolded = 1 << 24

// checkConstants bounds what nodes compute that no input reaches: the runtime does it while it loads.
func (g *ONNX) checkConstants() error {
	known, budget := map[string]Initializer{}, int64(maxFolded)
	for name, t := range g.Initializers {
		known[name] = t
		budget += min(2*t.Elements, math.MaxInt64/4-budget)
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		in := make([]Initializer, 0, len(n.Inputs))
		for _, name := range n.Inputs {
			if t, ok := known[name]; ok {
				in = append(in, t)
			} else if name != "" {
				in = nil
				break
			}
		}
		if in == nil || n.Op != "Constant" && len(in) == 0 {
			continue
		}
		out, err := n.folded(in)
		if budget -= out.Elements; err != nil || budget < 0 {
			return fmt.Errorf("node %q (%s) computes from constants alone, and up to %d numbers: store its result in the graph instead", n.name, n.Op, out.Elements)
		}
		for _, name := range n.Outputs {
			known[name] = out
		}
	}
	return nil
}

// folded bounds the result of a node whose inputs are all known, and its work. It fails where it is too large to count.
func (n *Node) folded(in []Initializer) (out Initializer, err error) {
	sizes := make([]int64, len(in))
	for i, t := range in {
		sizes[i] = t.Elements
	}
	switch shape := in[max(len(in), 1)-1:]; {
	case n.Op == "Constant":
		return n.value, nil
	case n.Op == "ConstantOfShape" || n.Op == "Expand" || n.Op == "Tile": // as large as the last input says
		if sizes = append(sizes[:len(sizes)-1], shape[0].ints...); shape[0].ints == nil {
			sizes = []int64{-1}
		}
	case n.Op == "Concat":
		for _, size := range sizes {
			out.Elements += size
		}
		return out, nil
	case sameSize[n.Op]:
		out.Elements = max(slices.Max(sizes), fewInts)
		if len(in) == 1 && n.Op != "Transpose" {
			out.dims = in[0].dims
		}
		return out, nil
	case slices.Contains([]string{"Conv", "Pad", "OneHot", "Range"}, n.Op): // larger than what they read
		sizes = []int64{-1}
	case elementWise[n.Op] && !slices.ContainsFunc(in, func(t Initializer) bool { return len(t.dims) != len(in[0].dims) || t.dims == nil }):
		sizes = slices.Clone(in[0].dims)
		for _, t := range in {
			for d := range sizes {
				sizes[d] = max(sizes[d], t.dims[d])
			}
		}
	}
	out.Elements, err = elements(sizes)
	return out, err
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
	product := []bound{{"K", 1, 1 << 24, 0}, {"N", 1, 1 << 28, 0}, {"bits", 4, 32, 0}, {"activation", 0, 1, 0}}
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
		case n.domain != "loopserve":
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
