package inspect

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
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

var errDamaged = errors.New("it is not an ONNX model")

// fields calls each for every field of a message: bytes of a length-delimited one, number of a varint.
func fields(message []byte, each func(tag protowire.Number, bytes []byte, number uint64) error) error {
	for len(message) > 0 {
		tag, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errDamaged
		}
		message = message[n:]
		var bytes []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(tag, kind, message)
		}
		if n < 0 {
			return errDamaged
		}
		message = message[n:]
		if err := each(tag, bytes, number); err != nil {
			return err
		}
	}
	return nil
}

// readGraph reads a ModelProto.
func readGraph(raw []byte) (*graph, error) {
	g := &graph{initializers: map[string]tensor{}}
	err := fields(raw, func(tag protowire.Number, model []byte, _ uint64) error {
		if tag != 7 {
			return nil
		}
		return fields(model, func(tag protowire.Number, b []byte, _ uint64) error {
			switch tag {
			case 1:
				return g.node(b)
			case 5:
				return g.tensor(b)
			}
			return nil
		})
	})
	return g, err
}

func (g *graph) node(raw []byte) error {
	n := node{ints: map[string]int64{}}
	err := fields(raw, func(tag protowire.Number, b []byte, _ uint64) error {
		switch tag {
		case 1:
			n.inputs = append(n.inputs, string(b))
		case 2:
			n.outputs = append(n.outputs, string(b))
		case 4:
			n.op = string(b)
		case 5:
			var name string
			var value int64
			err := fields(b, func(tag protowire.Number, b []byte, number uint64) error {
				switch tag {
				case 1:
					name = string(b)
				case 3:
					value = int64(number)
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
	dim := func(d uint64) error {
		if d > 1<<60 || d > 0 && t.elements > 1<<60/int64(d) {
			return fmt.Errorf("tensor %q is too large", name)
		}
		t.elements *= int64(d)
		t.rank++
		return nil
	}
	err := fields(raw, func(tag protowire.Number, b []byte, number uint64) error {
		switch {
		case tag == 1 && b == nil:
			return dim(number)
		case tag == 1: // packed
			for len(b) > 0 {
				d, n := protowire.ConsumeVarint(b)
				if n < 0 {
					return errDamaged
				}
				if err := dim(d); err != nil {
					return err
				}
				b = b[n:]
			}
		case tag == 2:
			t.elem = int64(number)
		case tag == 8:
			name = string(b)
		}
		return nil
	})
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
		case "MatMulNBits":
			size := n.ints["K"] * n.ints["N"]
			flops += 2 * size
			if len(n.inputs) > 1 && !counted[n.inputs[1]] {
				parameters += size
			}
			for _, in := range n.inputs {
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

// weight has the element types that parameters are stored in: float, uint8, int8, float16, double, bfloat16, uint4, int4.
var weight = map[int64]bool{1: true, 2: true, 3: true, 10: true, 11: true, 16: true, 21: true, 22: true}
