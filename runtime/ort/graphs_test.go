//go:build cgo

package ort

import (
	"bytes"
	"testing"
)

// The embedded graphs, which copy memory, are what is written here.
func TestCopyingGraphs(t *testing.T) {
	operator := func(op, output string, inputs ...string) (p proto) {
		for _, in := range inputs {
			p = p.text(1, in)
		}
		return p.text(2, output).text(4, op)
	}
	model := func(name string, nodes []proto, inputs []value, output value) []byte {
		var g proto
		for _, n := range nodes {
			g = g.bytes(1, n)
		}
		g = g.text(2, name)
		for _, v := range inputs {
			g = g.bytes(11, v.encode())
		}
		g = g.bytes(12, output.encode())
		return proto{}.varint(1, 8).bytes(7, g).bytes(8, proto{}.varint(2, 13)) // ir_version 8, opset 13
	}
	for file, c := range map[string]struct{ got, want []byte }{
		"move.onnx": {movingGraph, model("move",
			[]proto{operator("Gather", "rows", "cache", "from"), operator("ScatterND", "moved", "cache", "to", "rows")},
			[]value{{"cache", Uint8, []any{"r", "w"}}, {"from", Int64, []any{"n"}}, {"to", Int64, []any{"n", 1}}},
			value{"moved", Uint8, []any{"r", "w"}},
		)},
		"identity.onnx": {identity, model("c", []proto{operator("Identity", "y", "x")},
			[]value{{"x", Uint8, []any{"n"}}}, value{"y", Uint8, []any{"n"}})},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s: it has %x\nand not %x", file, c.got, c.want)
		}
	}
}
