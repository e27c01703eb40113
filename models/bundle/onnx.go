package bundle

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loopserve/loopserve/models/protofield"
)

// maxNodes bounds a graph; ours have some hundred.
const maxNodes = 1 << 20

// Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
const (
	modelGraph, modelTraining, modelFunction = 7, 20, 25

	graphNode, graphInitializer, graphInput, graphOutput, graphSparse = 1, 5, 11, 12, 15

	nodeInput, nodeOutput, nodeName, nodeOp, nodeAttribute, nodeDomain = 1, 2, 3, 4, 5, 7

	attrName, attrFloat, attrInt                                            = 1, 2, 3
	attrTensor, attrGraph, attrTensors, attrGraphs, attrSparse, attrSparses = 5, 6, 10, 11, 22, 23

	valueName, valueType, typeTensor = 1, 2, 1

	tensorElement, tensorShape, shapeDimension, dimensionValue = 1, 2, 1, 1
)

// ONNX is what the reader keeps of an ONNX file.
type ONNX struct {
	Nodes        []Node // in order
	Initializers map[string]Initializer

	inputs, outputs []tensorInfo
	external        []external
	attention       map[string]int // PagedAttention nodes by domain
}

// Node is an operator at its place.
type Node struct {
	Op              string
	Inputs, Outputs []string
	Ints            map[string]int64 // attributes that are one integer

	name, domain string
	floats       map[string]float32 // attributes that are one float
}

// Initializer is a tensor that is stored with the graph.
type Initializer struct {
	Type     int64 // TensorProto.DataType
	Bits     int64 // of an element; 0 for strings and complex numbers
	Elements int64
	Rank     int
}

// tensorInfo is a graph's declared input or output. A dimension is −1 where it is dynamic.
type tensorInfo struct {
	name   string
	elem   int64
	ranked bool
	dims   []int64
}

// ReadONNX reads an ONNX file. It refuses what could make the runtime read or run something else than what is checked
// here: a graph within the graph, a function, an operator that is not in the list.
func ReadONNX(raw []byte) (*ONNX, error) {
	g := &ONNX{Initializers: map[string]Initializer{}, attention: map[string]int{}}
	graphs := 0
	err := protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		switch tag {
		case modelGraph:
			if graphs++; graphs > 1 {
				return fmt.Errorf("%w: two graphs", protofield.ErrDamaged) // parsers merge them
			}
			return g.graph(b)
		case modelTraining:
			return fmt.Errorf("it holds training information: only inference graphs are served")
		}
		return fmt.Errorf("it has functions of its own: export it with them inlined (Python: onnx.inliner.inline_local_functions)")
	}, modelGraph, modelTraining, modelFunction)
	if err == nil && graphs == 0 {
		err = fmt.Errorf("%w: no graph", protofield.ErrDamaged)
	}
	return g, err
}

func (g *ONNX) graph(raw []byte) error {
	return protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		switch tag {
		case graphNode:
			return g.node(b)
		case graphInitializer:
			name, t, err := g.tensor(b)
			g.Initializers[name] = t
			return err
		case graphSparse:
			return fmt.Errorf("it has a sparse initializer: store it dense")
		}
		return g.value(b, tag == graphInput)
	}, graphNode, graphInitializer, graphInput, graphOutput, graphSparse)
}

func (g *ONNX) node(raw []byte) error {
	n := Node{Ints: map[string]int64{}, floats: map[string]float32{}}
	err := protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		switch tag {
		case nodeInput:
			n.Inputs = append(n.Inputs, string(b))
		case nodeOutput:
			n.Outputs = append(n.Outputs, string(b))
		case nodeName:
			n.name = string(b)
		case nodeOp:
			n.Op = string(b)
		case nodeAttribute:
			return g.attribute(&n, b)
		case nodeDomain:
			n.domain = string(b)
		}
		return nil
	}, nodeInput, nodeOutput, nodeName, nodeOp, nodeAttribute, nodeDomain)
	if err == nil {
		err = n.known()
	}
	if err != nil {
		return fmt.Errorf("node %q (%s): %w", n.name, n.Op, err)
	}
	if n.Op == "PagedAttention" {
		g.attention[n.domain]++
	}
	if g.Nodes = append(g.Nodes, n); len(g.Nodes) > maxNodes {
		return fmt.Errorf("more than %d nodes", maxNodes)
	}
	return nil
}

func (g *ONNX) attribute(n *Node, raw []byte) error {
	var name string
	var number int64
	var real float32
	tensors := 0
	err := protofield.Each(raw, func(f protofield.Field) (err error) {
		switch f.Tag {
		case attrName:
			name = string(f.Bytes)
		case attrFloat:
			if f.Kind == protowire.Fixed32Type {
				real = math.Float32frombits(binary.LittleEndian.Uint32(f.Raw[len(f.Raw)-4:]))
			}
		case attrInt:
			number = int64(f.Number)
		case attrTensor, attrTensors:
			var b []byte
			if b, err = f.Sub(); err == nil {
				_, _, err = g.tensor(b)
			}
			if tensors++; f.Tag == attrTensor && tensors > 1 {
				return fmt.Errorf("%w: an attribute with two tensors", protofield.ErrDamaged)
			}
		case attrGraph, attrGraphs:
			return fmt.Errorf("it has a graph of its own: If, Loop and Scan are refused, since nothing bounds what they do")
		case attrSparse, attrSparses:
			return fmt.Errorf("it has a sparse tensor: store it dense")
		}
		return err
	})
	if _, twice := n.Ints[name]; twice && err == nil {
		return fmt.Errorf("it has the attribute %q twice", name)
	}
	n.Ints[name], n.floats[name] = number, real
	return err
}

// value reads a ValueInfoProto of the main graph.
func (g *ONNX) value(raw []byte, input bool) error {
	var v tensorInfo
	err := protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		if tag == valueName {
			v.name = string(b)
			return nil
		}
		return protofield.EachOf(b, func(_ protowire.Number, tensor []byte) error { return v.tensorType(tensor) }, typeTensor)
	}, valueName, valueType)
	if input {
		g.inputs = append(g.inputs, v)
	} else {
		g.outputs = append(g.outputs, v)
	}
	return err
}

func (v *tensorInfo) tensorType(raw []byte) error {
	return protofield.Each(raw, func(f protofield.Field) (err error) {
		switch f.Tag {
		case tensorElement:
			v.elem, err = f.Varint()
		case tensorShape:
			v.ranked = true
			var shape []byte
			if shape, err = f.Sub(); err == nil {
				err = protofield.EachOf(shape, v.dim, shapeDimension)
			}
		}
		return err
	})
}

func (v *tensorInfo) dim(_ protowire.Number, raw []byte) error {
	size := int64(-1)
	err := protofield.Each(raw, func(f protofield.Field) (err error) {
		if f.Tag == dimensionValue {
			size, err = f.Varint()
		}
		return err
	})
	v.dims = append(v.dims, size)
	return err
}
