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

	nodeName, nodeOp, nodeAttribute, nodeDomain = 3, 4, 5, 7
	functionNode, functionAttribute             = 7, 11

	attrTensor, attrGraph, attrTensors, attrGraphs, attrSparse, attrSparses = 5, 6, 10, 11, 22, 23

	valueName, valueType, typeTensor = 1, 2, 1

	tensorElement, tensorShape, shapeDimension, dimensionValue = 1, 2, 1, 1
)

// domains are those whose operators a bundle may use. Anything else would be a kernel that we did not register.
var domains = []string{"", "ai.onnx", "com.microsoft", "loopserve"}

// graphInfo is what the reader keeps of an ONNX file.
type graphInfo struct {
	inputs, outputs []tensorInfo
	initializers    map[string]bool
	external        []external
	attention       map[string]int // PagedAttention nodes by domain, subgraphs included

	nodes int
}

// tensorInfo is a graph's declared input or output. A dimension is −1 where it is dynamic.
type tensorInfo struct {
	name   string
	elem   int64
	ranked bool
	dims   []int64
}

// readGraph reads an ONNX file: graph, subgraphs in attributes, and functions. It refuses what could make the runtime
// read or run something else than what is checked here.
func readGraph(raw []byte) (*graphInfo, error) {
	g := &graphInfo{initializers: map[string]bool{}, attention: map[string]int{}}
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

func (g *graphInfo) graph(raw []byte, depth int) error {
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

func (g *graphInfo) function(raw []byte) error {
	return protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		if tag == functionAttribute {
			return g.attribute(b, 1)
		}
		return g.node(b, 1)
	}, functionNode, functionAttribute)
}

func (g *graphInfo) node(raw []byte, depth int) error {
	if g.nodes++; g.nodes > maxNodes {
		return fmt.Errorf("more than %d nodes", maxNodes)
	}
	var name, op, domain string
	err := protofield.EachOf(raw, func(tag protowire.Number, b []byte) error {
		switch tag {
		case nodeName:
			name = string(b)
		case nodeOp:
			op = string(b)
		case nodeAttribute:
			return g.attribute(b, depth)
		case nodeDomain:
			domain = string(b)
		}
		return nil
	}, nodeName, nodeOp, nodeAttribute, nodeDomain)
	if err != nil {
		return fmt.Errorf("node %q (%s): %w", name, op, err)
	}
	if !slices.Contains(domains, domain) {
		return fmt.Errorf("node %q is the operator %s of the domain %q: a bundle may use ONNX's own, com.microsoft and loopserve",
			name, op, domain)
	}
	if op == "PagedAttention" {
		g.attention[domain]++
	}
	return nil
}

func (g *graphInfo) attribute(raw []byte, depth int) error {
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
func (g *graphInfo) value(raw []byte, input bool) error {
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
