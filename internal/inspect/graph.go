package inspect

import "github.com/loopserve/loopserve/models/bundle"

// graph is one of a bundle's, to be counted.
type graph struct{ *bundle.ONNX }

// counts are a graph's parameters, and the floating-point operations that its weights take for each row: two for each
// weight of a product. Norms, activations and attention's own products are not in it.
func (g graph) counts() (parameters, flops int64) {
	from := map[string]string{} // through nodes that only rearrange, to what was stored
	for _, n := range g.Nodes {
		switch n.Op {
		case "Transpose", "Cast", "Identity", "Reshape", "DequantizeLinear", "Squeeze", "Unsqueeze":
			if len(n.Inputs) > 0 && len(n.Outputs) > 0 {
				from[n.Outputs[0]] = n.Inputs[0]
			}
		}
	}
	stored := func(name string) (bundle.Initializer, bool) {
		for range len(g.Nodes) + 1 {
			if t, ok := g.Initializers[name]; ok {
				return t, true
			}
			next, ok := from[name]
			if !ok {
				break
			}
			name = next
		}
		return bundle.Initializer{}, false
	}
	counted := map[string]bool{} // initializers that are not counted by their elements
	for _, n := range g.Nodes {
		switch n.Op {
		case "MatMulNBits", "QuantLinear", "PackedLinear": // the weights of some, packed, are bytes
			size := n.Ints["K"] * n.Ints["N"]
			flops += 2 * size
			if len(n.Inputs) > 1 && !counted[n.Inputs[1]] {
				parameters += size
			}
			scales := n.Inputs[min(1, len(n.Inputs)):]
			if n.Op != "MatMulNBits" { // a gain and a bias are parameters too
				scales = scales[:min(1, len(scales))]
			}
			for _, in := range scales {
				counted[in] = true
			}
		case "GatherBlockQuantized":
			if len(n.Inputs) > 2 && !counted[n.Inputs[0]] {
				if bits := n.Ints["bits"]; bits > 0 {
					parameters += g.Initializers[n.Inputs[0]].Elements * 8 / bits
				}
				counted[n.Inputs[0]], counted[n.Inputs[2]] = true, true
			}
		case "PagedAttention":
			for _, in := range n.Inputs[min(8, len(n.Inputs)):min(10, len(n.Inputs))] {
				counted[in] = true // RoPE tables are computed, not learned
			}
		case "MatMul", "Gemm":
			for _, in := range n.Inputs[:min(2, len(n.Inputs))] {
				if t, ok := stored(in); ok && t.Rank == 2 {
					flops += 2 * t.Elements
				}
			}
		}
	}
	for name, t := range g.Initializers {
		if t.Elements > 1 && weight[t.Type] && !counted[name] {
			parameters += t.Elements
		}
	}
	return parameters, flops
}

// weight has the element types that parameters are stored in: float, uint8, int8, float16, double, bfloat16, uint4, int4.
var weight = map[int64]bool{1: true, 2: true, 3: true, 10: true, 11: true, 16: true, 21: true, 22: true}
