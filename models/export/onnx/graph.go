package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Type is TensorProto.DataType.
type Type int32

// The types in use.
const (
	Float    Type = 1
	Uint8    Type = 2
	Int32    Type = 6
	Int64    Type = 7
	Float16  Type = 10
	BFloat16 Type = 16
)

// What we write: the newest that every ONNX Runtime since 1.20 takes.
const (
	irVersion = 10
	opset     = 21
)

// Domains beside the standard one.
const (
	Microsoft = "com.microsoft"
	Loopserve = "loopserve"
)

// Graph is a model under construction. Methods append; Encode gives the file's bytes.
type Graph struct {
	// Nodes are the operators in order. What changes them keeps each behind those that make its inputs.
	Nodes []Node

	name         string
	initializers []byte
	inputs       []byte
	outputs      []byte
	count        int
	declared     map[string]bool // inputs and initializers
	stored       map[string]bool // initializers
	results      map[string]bool // outputs
}

// Node is an operator of a domain ("" is ONNX's own). An empty input is an absent optional one, an empty output one that
// is not wanted.
type Node struct {
	Domain, Op      string
	Inputs, Outputs []string
	Attrs           []Attr
}

// Stored reports whether the name is an initializer's.
func (g *Graph) Stored(name string) bool { return g.stored[name] }

// Result reports whether the name is one of the graph's outputs.
func (g *Graph) Result(name string) bool { return g.results[name] }

// NewGraph starts a graph.
func NewGraph(name string) *Graph {
	return &Graph{name: name, declared: map[string]bool{}, stored: map[string]bool{}, results: map[string]bool{}}
}

// Attr is a node's attribute: V is an int, float64, string, []int64.
type Attr struct {
	Name string
	V    any
}

// Node appends a node of the domain ("" is ONNX's own) with one output, and returns that output's name. An empty
// input name is an absent optional input.
func (g *Graph) Node(domain, op string, inputs []string, attrs ...Attr) string {
	return g.NodeN(domain, op, inputs, 1, attrs...)[0]
}

// NodeN appends a node with n outputs, named after the operator.
func (g *Graph) NodeN(domain, op string, inputs []string, n int, attrs ...Attr) []string {
	outputs := make([]string, n)
	for i := range outputs {
		outputs[i] = g.Name(op)
	}
	g.NodeTo(domain, op, inputs, outputs, attrs...)
	return outputs
}

// Name makes a name that no other value has.
func (g *Graph) Name(after string) string {
	g.count++
	return fmt.Sprintf("%s_%d", after, g.count)
}

// NodeTo appends a node with the outputs named by the caller; an empty name is an output that is not wanted.
func (g *Graph) NodeTo(domain, op string, inputs, outputs []string, attrs ...Attr) {
	g.Nodes = append(g.Nodes, Node{domain, op, slices.Clone(inputs), slices.Clone(outputs), attrs})
}

func (n *Node) encode(graph string) []byte {
	var b []byte
	for _, in := range n.Inputs {
		b = text(b, 1, in)
	}
	for _, out := range n.Outputs {
		b = text(b, 2, out)
	}
	b = text(b, 3, fmt.Sprintf("%s/%s", graph, n.Outputs[0]))
	b = text(b, 4, n.Op)
	for _, a := range n.Attrs {
		b = message(b, 5, attribute(a))
	}
	if n.Domain != "" {
		b = text(b, 7, n.Domain)
	}
	return b
}

func attribute(a Attr) []byte {
	b := text(nil, 1, a.Name)
	switch v := a.V.(type) {
	case int:
		b = integer(b, 3, int64(v))
		return integer(b, 20, 2)
	case float64:
		b = protowire.AppendTag(b, 2, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, math.Float32bits(float32(v)))
		return integer(b, 20, 1)
	case string:
		b = text(b, 4, v)
		return integer(b, 20, 3)
	case []int64:
		for _, x := range v {
			b = integer(b, 8, x)
		}
		return integer(b, 20, 7)
	}
	panic(fmt.Sprintf("attribute %s has a Go type that no operator of ours takes: %T", a.Name, a.V))
}

// Dim is a dimension: a size, or a name where it is dynamic.
type Dim struct {
	Size int64
	Name string
}

// Fixed and Dynamic make dimensions.
func Fixed(n int) Dim { return Dim{Size: int64(n)} }

// Dynamic is a dimension that may differ from call to call.
func Dynamic(name string) Dim { return Dim{Name: name} }

// Input declares an input, once, and returns its name.
func (g *Graph) Input(name string, t Type, dims ...Dim) string {
	if g.declare(name) {
		return name
	}
	g.inputs = message(g.inputs, 11, value(name, t, dims))
	return name
}

// Output declares an output.
func (g *Graph) Output(name string, t Type, dims ...Dim) {
	g.results[name] = true
	g.outputs = message(g.outputs, 12, value(name, t, dims))
}

func value(name string, t Type, dims []Dim) []byte {
	var shape []byte
	for _, d := range dims {
		if d.Name != "" {
			shape = message(shape, 1, text(nil, 2, d.Name))
		} else {
			shape = message(shape, 1, integer(nil, 1, d.Size))
		}
	}
	tensor := integer(nil, 1, int64(t))
	tensor = message(tensor, 2, shape)
	return message(text(nil, 1, name), 2, message(nil, 1, tensor))
}

// declare reports whether an input or initializer of the name is there already: the same name is the same tensor.
func (g *Graph) declare(name string) bool {
	was := g.declared[name]
	g.declared[name] = true
	return was
}

// Ints appends a small int64 initializer; no dims make it a scalar of one value.
func (g *Graph) Ints(name string, values []int64, dims ...int64) string {
	return inline(g, name, Int64, values, dims)
}

// Int32s appends a small int32 initializer.
func (g *Graph) Int32s(name string, values []int32, dims ...int64) string {
	return inline(g, name, Int32, values, dims)
}

// Floats appends a small float32 initializer.
func (g *Graph) Floats(name string, values []float32, dims ...int64) string {
	return inline(g, name, Float, values, dims)
}

// inline appends an initializer whose bytes are in the graph.
func inline[V int32 | int64 | float32](g *Graph, name string, t Type, values []V, dims []int64) string {
	if g.declare(name) {
		return name
	}
	g.stored[name] = true
	raw, _ := binary.Append(nil, binary.LittleEndian, values) // numbers of a fixed size are never refused
	g.initializers = message(g.initializers, 5, append(tensorHead(name, t, dims), message(nil, 9, raw)...))
	return name
}

// Extent is where a tensor's bytes are in an external data file.
type Extent struct {
	File           string
	Offset, Length int64
}

// External appends an initializer whose bytes are in another file.
func (g *Graph) External(name string, t Type, at Extent, dims ...int64) string {
	if g.declare(name) {
		return name
	}
	g.stored[name] = true
	b := tensorHead(name, t, dims)
	for _, kv := range [][2]string{{"location", at.File}, {"offset", fmt.Sprint(at.Offset)}, {"length", fmt.Sprint(at.Length)}} {
		b = message(b, 13, text(text(nil, 1, kv[0]), 2, kv[1]))
	}
	b = integer(b, 14, 1)
	g.initializers = message(g.initializers, 5, b)
	return name
}

func tensorHead(name string, t Type, dims []int64) []byte {
	var b []byte
	for _, d := range dims {
		b = integer(b, 1, d)
	}
	b = integer(b, 2, int64(t))
	return text(b, 8, name)
}

// Encode gives the ModelProto's bytes.
func (g *Graph) Encode(producer string) []byte {
	var graph []byte
	for i := range g.Nodes {
		graph = message(graph, 1, g.Nodes[i].encode(g.name))
	}
	graph = text(graph, 2, g.name)
	graph = append(graph, g.initializers...)
	graph = append(graph, g.inputs...)
	graph = append(graph, g.outputs...)
	b := integer(nil, 1, irVersion)
	b = text(b, 2, producer)
	for _, d := range []struct {
		name    string
		version int64
	}{{"", opset}, {Microsoft, 1}, {Loopserve, 1}} {
		b = message(b, 8, integer(text(nil, 1, d.name), 2, d.version))
	}
	return message(b, 7, graph)
}

func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func message(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}

func integer(b []byte, field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}
