package bundle

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loopserve/loopserve/models/protofield"
)

// Limits of the reader. Graphs of ours nest one level and have some hundred nodes.
const (
	maxNesting = 16
	maxNodes   = 1 << 20
)

// Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
const (
	modelGraph, modelTraining, modelFunction = 7, 20, 25

	graphNode, graphInitializer, graphInput, graphOutput, graphSparse = 1, 5, 11, 12, 15

	nodeInput, nodeOutput, nodeName, nodeOp, nodeAttribute, nodeDomain = 1, 2, 3, 4, 5, 7
	functionNode, functionAttribute                                    = 7, 11

	attrName, attrInt                                                       = 1, 3
	attrTensor, attrGraph, attrTensors, attrGraphs, attrSparse, attrSparses = 5, 6, 10, 11, 22, 23

	valueName, valueType, typeTensor = 1, 2, 1

	tensorElement, tensorShape, shapeDimension, dimensionValue = 1, 2, 1, 1
)

// domains are those whose operators a bundle may use. Anything else would be a kernel that we did not register.
var domains = []string{"", "ai.onnx", "com.microsoft", "loopserve"}

// ONNX is what the reader keeps of an ONNX file.
type ONNX struct {
	Nodes        []Node                 // of the main graph
	Initializers map[string]Initializer // of the main graph

	inputs, outputs []tensorInfo
	external        []external
	attention       map[string]int // PagedAttention nodes by domain, subgraphs included
	nodes           int            // subgraphs included
}

// Node is an operator at its place.
type Node struct {
	Op              string
	Inputs, Outputs []string
	Ints            map[string]int64 // attributes that are one integer

	name, domain string
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

// ReadONNX reads an ONNX file: graph, subgraphs in attributes, and functions. It refuses what could make the runtime
// read or run something else than what is checked here.
func ReadONNX(raw []byte) (*ONNX, error) {
	g := &ONNX{Initializers: map[string]Initializer{}, attention: map[string]int{}}
	graphs := 0
	err := protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		switch tag {
		case modelGraph:
			if graphs++; graphs > 1 {
				return fmt.Errorf("%w: two graphs", protofield.ErrDamaged) // parsers merge them
			}
			return g.graph(b, 0)
		case modelTraining:
			return fmt.Errorf("it holds training information: only inference graphs are served")
		}
		return g.function(b)
	}, modelGraph, modelTraining, modelFunction)
	if err == nil && graphs == 0 {
		err = fmt.Errorf("%w: no graph", protofield.ErrDamaged)
	}
	return g, err
}

func (g *ONNX) graph(raw []byte, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("graphs nest more than %d deep", maxNesting)
	}
	return protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		switch {
		case tag == graphNode:
			return g.node(b, depth)
		case tag == graphInitializer:
			return g.tensor(b, depth == 0)
		case tag == graphSparse:
			return fmt.Errorf("it has a sparse initializer: store it dense")
		case depth == 0:
			return g.value(b, tag == graphInput)
		}
		return nil
	}, graphNode, graphInitializer, graphInput, graphOutput, graphSparse)
}

func (g *ONNX) function(raw []byte) error {
	return protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		if tag == functionAttribute {
			return g.attribute(b, 1)
		}
		return g.node(b, 1)
	}, functionNode, functionAttribute)
}

func (g *ONNX) node(raw []byte, depth int) error {
	if g.nodes++; g.nodes > maxNodes {
		return fmt.Errorf("more than %d nodes", maxNodes)
	}
	n := Node{Ints: map[string]int64{}}
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
			name, value, err := integer(b)
			if err != nil {
				return err
			}
			n.Ints[name] = value
			return g.attribute(b, depth)
		case nodeDomain:
			n.domain = string(b)
		}
		return nil
	}, nodeInput, nodeOutput, nodeName, nodeOp, nodeAttribute, nodeDomain)
	if err != nil {
		return fmt.Errorf("node %q (%s): %w", n.name, n.Op, err)
	}
	if !slices.Contains(domains, n.domain) {
		return fmt.Errorf("node %q is the operator %s of the domain %q: a bundle may use ONNX's own, com.microsoft and loopserve",
			n.name, n.Op, n.domain)
	}
	if n.Op == "PagedAttention" {
		g.attention[n.domain]++
	}
	if depth == 0 {
		g.Nodes = append(g.Nodes, n)
	}
	return nil
}

// integer is an attribute's name, and its integer where it is one.
func integer(attribute []byte) (name string, value int64, err error) {
	err = protofield.Each(attribute, func(f protofield.Field) error {
		switch f.Tag {
		case attrName:
			name = string(f.Bytes)
		case attrInt:
			value = int64(f.Number)
		}
		return nil
	})
	return name, value, err
}

func (g *ONNX) attribute(raw []byte, depth int) error {
	seen := map[protowire.Number]int{}
	return protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		seen[tag]++
		switch tag {
		case attrTensor, attrTensors:
			if seen[attrTensor] > 1 {
				return fmt.Errorf("%w: an attribute with two tensors", protofield.ErrDamaged)
			}
			return g.tensor(b, false)
		case attrGraph, attrGraphs:
			if seen[attrGraph] > 1 {
				return fmt.Errorf("%w: an attribute with two graphs", protofield.ErrDamaged)
			}
			return g.graph(b, depth+1)
		}
		return fmt.Errorf("it has a sparse tensor: store it dense")
	}, attrTensor, attrGraph, attrTensors, attrGraphs, attrSparse, attrSparses)
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
