//go:build cgo

package ort

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// A small encoder of ONNX graphs in protobuf's wire format: enough for the tests of this package, which must not lean
// on the exporter that they help to trust. Field numbers are those of onnx.proto3.
// Upstream: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3

type proto []byte

func (p proto) varint(field int, v int64) proto {
	return binary.AppendUvarint(binary.AppendUvarint(p, uint64(field)<<3), uint64(v))
}

func (p proto) bytes(field int, b []byte) proto {
	p = binary.AppendUvarint(binary.AppendUvarint(p, uint64(field)<<3|2), uint64(len(b)))
	return append(p, b...)
}

func (p proto) text(field int, s string) proto { return p.bytes(field, []byte(s)) }

func (p proto) float(field int, f float32) proto {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(p, uint64(field)<<3|5), math.Float32bits(f))
}

// value is a graph's input or output: a dimension is an int (fixed) or a string (dynamic).
type value struct {
	name string
	t    ElementType
	dims []any
}

func (v value) encode() proto {
	var shape proto
	for _, d := range v.dims {
		switch d := d.(type) {
		case int:
			shape = shape.bytes(1, proto{}.varint(1, int64(d)))
		case string:
			shape = shape.bytes(1, proto{}.text(2, d))
		}
	}
	tensor := proto{}.varint(1, int64(v.t)).bytes(2, shape)
	return proto{}.text(1, v.name).bytes(2, proto{}.bytes(1, tensor))
}

// node is an operator: an empty name in inputs is an optional input that is left out.
type node struct {
	domain, op      string
	inputs, outputs []string
	attributes      map[string]any // int or float32
}

func (n node) encode() proto {
	var p proto
	for _, s := range n.inputs {
		p = p.text(1, s)
	}
	for _, s := range n.outputs {
		p = p.text(2, s)
	}
	p = p.text(3, n.op+"_to_"+n.outputs[0]).text(4, n.op)
	for name, v := range n.attributes {
		switch v := v.(type) {
		case int:
			p = p.bytes(5, proto{}.text(1, name).varint(3, int64(v)).varint(20, 2))
		case float32:
			p = p.bytes(5, proto{}.text(1, name).float(2, v).varint(20, 1))
		}
	}
	return p.text(7, n.domain)
}

type graph struct {
	nodes           []node
	inputs, outputs []value
	weights         []weight
}

// weight is a tensor inside the graph: a float32 matrix, or bytes of any shape.
type weight struct {
	name          string
	rows, columns int
	data          []float32
	bytes         []byte
	dims          []int  // of bytes
	file          string // that has them, from offset on
	offset        int
}

func (w weight) encode() proto {
	if w.bytes != nil || w.file != "" {
		var p proto
		for _, d := range w.dims {
			p = p.varint(1, int64(d))
		}
		if p = p.varint(2, int64(Uint8)).text(8, w.name); w.file == "" {
			return p.bytes(9, w.bytes)
		}
		return p.bytes(13, proto{}.text(1, "location").text(2, w.file)).bytes(13, proto{}.text(1, "offset").text(2, strconv.Itoa(w.offset))).varint(14, 1)
	}
	raw := make([]byte, 0, 4*len(w.data))
	for _, f := range w.data {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	return proto{}.varint(1, int64(w.rows)).varint(1, int64(w.columns)).varint(2, int64(Float32)).text(8, w.name).bytes(9, raw)
}

func (g graph) encode() []byte {
	var p proto
	for _, n := range g.nodes {
		p = p.bytes(1, n.encode())
	}
	p = p.text(2, "test")
	for _, w := range g.weights {
		p = p.bytes(5, w.encode())
	}
	for _, v := range g.inputs {
		p = p.bytes(11, v.encode())
	}
	for _, v := range g.outputs {
		p = p.bytes(12, v.encode())
	}
	return proto{}.varint(1, 10).bytes(7, p).
		bytes(8, proto{}.text(1, "").varint(2, 21)).
		bytes(8, proto{}.text(1, "loopserve").varint(2, 1)).
		bytes(8, proto{}.text(1, "com.microsoft").varint(2, 1))
}

func (g graph) file(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "graph.onnx")
	if err := os.WriteFile(path, g.encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open opens the environment for a test and closes it after it; a test that needs the library fails without it.
func open(t testing.TB) *Env {
	t.Helper()
	_, measured := t.(*testing.B)
	e, err := Open(Options{Spin: measured}) // as the server has it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// Load is LoadBytes of a file.
func (e *Env) Load(path string, opt SessionOptions) (*Session, error) {
	model, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return e.LoadBytes(path, model, opt)
}

// load loads a graph and a call of it for a test.
func (g graph) load(t testing.TB) (*Session, *Call) {
	t.Helper()
	s, err := open(t).Load(g.file(t), SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.NewCall()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

// buffer makes a host buffer for a test.
func buffer(t testing.TB, bytes int) *Buffer {
	t.Helper()
	b, err := NewBuffer(bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// sum is the graph y = x + x over [rows, 2].
func sum() graph {
	return graph{
		nodes:   []node{{op: "Add", inputs: []string{"x", "x"}, outputs: []string{"y"}}},
		inputs:  []value{{"x", Float32, []any{"rows", 2}}},
		outputs: []value{{"y", Float32, []any{"rows", 2}}},
	}
}
