package inspect

import (
	"fmt"

	"github.com/loopserve/loopserve/models/protofield"
)

// graph is what is kept of an ONNX file: the main graph's nodes, and the shapes of its initializers.
type graph struct {
	nodes        []node
	initializers map[string]tensor
}

type node struct {
	op              string
	inputs, outputs []string
	ints            map[string]int64
}

type tensor struct {
	elem     int64 // TensorProto.DataType
	elements int64
	rank     int
}

// readGraph reads a ModelProto.
func readGraph(raw []byte) (*graph, error) {
	g := &graph{initializers: map[string]tensor{}}
	err := protofield.Each(raw, func(f protofield.Field) error {
		if f.Tag != 7 {
			return nil
		}
		return protofield.Each(f.Bytes, func(f protofield.Field) error {
			switch f.Tag {
			case 1:
				return g.node(f.Bytes)
			case 5:
				return g.tensor(f.Bytes)
			}
			return nil
		})
	})
	return g, err
}

func (g *graph) node(raw []byte) error {
	n := node{ints: map[string]int64{}}
	err := protofield.Each(raw, func(f protofield.Field) error {
		switch f.Tag {
		case 1:
			n.inputs = append(n.inputs, string(f.Bytes))
		case 2:
			n.outputs = append(n.outputs, string(f.Bytes))
		case 4:
			n.op = string(f.Bytes)
		case 5:
			var name string
			var value int64
			err := protofield.Each(f.Bytes, func(f protofield.Field) error {
				switch f.Tag {
				case 1:
					name = string(f.Bytes)
				case 3:
					value = int64(f.Number)
				}
				return nil
			})
			n.ints[name] = value
			return err
		}
		return nil
	})
	g.nodes = append(g.nodes, n)
	return err
}

func (g *graph) tensor(raw []byte) error {
	t, name := tensor{elements: 1}, ""
	var dims []int64
	err := protofield.Each(raw, func(f protofield.Field) (err error) {
		switch f.Tag {
		case 1:
			dims, err = f.Varints(dims)
		case 2:
			t.elem = int64(f.Number)
		case 8:
			name = string(f.Bytes)
		}
		return err
	})
	t.rank = len(dims)
	for _, d := range dims {
		if d < 0 || d > 1<<60 || d > 0 && t.elements > 1<<60/d {
			return fmt.Errorf("tensor %q is too large", name)
		}
		t.elements *= d
	}
	g.initializers[name] = t
	return err
}

// counts are a graph's parameters, and the floating-point operations that its weights take for each row: two for each
// weight of a product. Norms, activations and attention's own products are not in it.
func (g *graph) counts() (parameters, flops int64) {
	from := map[string]string{} // through nodes that only rearrange, to what was stored
	for _, n := range g.nodes {
		switch n.op {
		case "Transpose", "Cast", "Identity", "Reshape", "DequantizeLinear", "Squeeze", "Unsqueeze":
			if len(n.inputs) > 0 && len(n.outputs) > 0 {
				from[n.outputs[0]] = n.inputs[0]
			}
		}
	}
	stored := func(name string) (tensor, bool) {
		for range len(g.nodes) + 1 {
			if t, ok := g.initializers[name]; ok {
				return t, true
			}
			next, ok := from[name]
			if !ok {
				break
			}
			name = next
		}
		return tensor{}, false
	}
	counted := map[string]bool{} // initializers that are not counted by their elements
	for _, n := range g.nodes {
		switch n.op {
		case "MatMulNBits", "QuantLinear": // the weights of some, packed, are bytes
			size := n.ints["K"] * n.ints["N"]
			flops += 2 * size
			if len(n.inputs) > 1 && !counted[n.inputs[1]] {
				parameters += size
			}
			scales := n.inputs[min(1, len(n.inputs)):]
			if n.op == "QuantLinear" { // a gain and a bias are parameters too
				scales = scales[:min(1, len(scales))]
			}
			for _, in := range scales {
				counted[in] = true
			}
		case "GatherBlockQuantized":
			if len(n.inputs) > 2 && !counted[n.inputs[0]] {
				if bits := n.ints["bits"]; bits > 0 {
					parameters += g.initializers[n.inputs[0]].elements * 8 / bits
				}
				counted[n.inputs[0]], counted[n.inputs[2]] = true, true
			}
		case "PagedAttention":
			for _, in := range n.inputs[min(8, len(n.inputs)):min(10, len(n.inputs))] {
				counted[in] = true // RoPE tables are computed, not learned
			}
		case "MatMul", "Gemm":
			for _, in := range n.inputs[:min(2, len(n.inputs))] {
				if t, ok := stored(in); ok && t.rank == 2 {
					flops += 2 * t.elements
				}
			}
		}
	}
	for name, t := range g.initializers {
		if t.elements > 1 && weight[t.elem] && !counted[name] {
			parameters += t.elements
		}
	}
	return parameters, flops
}

// resident is the bytes of initializers that a server keeps in memory: all but the tables that rows are looked up in, which are
// mapped, and come in row by row. Products that are packed anew give the mapped original back.
func (g *graph) resident() (bytes int64) {
	table := map[string]bool{}
	for _, n := range g.nodes {
		if (n.op == "Gather" || n.op == "GatherBlockQuantized") && len(n.inputs) > 0 {
			table[n.inputs[0]] = true
		}
	}
	for name, t := range g.initializers {
		if !table[name] {
			bytes += t.elements * elementBits[t.elem] / 8
		}
	}
	return bytes
}

// elementBits are the sizes of the element types that weights are stored in: float, uint8, int8, int32, int64, float16, double,
// bfloat16, uint4, int4.
var elementBits = map[int64]int64{1: 32, 2: 8, 3: 8, 6: 32, 7: 64, 10: 16, 11: 64, 16: 16, 21: 4, 22: 4}

// weight has the element types that parameters are stored in: float, uint8, int8, float16, double, bfloat16, uint4, int4.
var weight = map[int64]bool{1: true, 2: true, 3: true, 10: true, 11: true, 16: true, 21: true, 22: true}
