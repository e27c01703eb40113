//go:build cgo

package ort

import (
	"bytes"
	"testing"
)

// The embedded graph, which copies memory, is what is written here.
func TestMovingGraph(t *testing.T) {
	operator := func(op, output string, inputs ...string) (p proto) {
		for _, in := range inputs {
			p = p.text(1, in)
		}
		return p.text(2, output).text(4, op)
	}
	g := proto{}.bytes(1, operator("Gather", "rows", "cache", "from")).
		bytes(1, operator("ScatterND", "moved", "cache", "to", "rows")).
		text(2, "move").
		bytes(11, value{"cache", Uint8, []any{"r", "w"}}.encode()).
		bytes(11, value{"from", Int64, []any{"n"}}.encode()).
		bytes(11, value{"to", Int64, []any{"n", 1}}.encode()).
		bytes(12, value{"moved", Uint8, []any{"r", "w"}}.encode())
	want := proto{}.varint(1, 8).bytes(7, g).bytes(8, proto{}.varint(2, 13)) // ir_version 8, opset 13
	if !bytes.Equal(movingGraph, want) {
		t.Errorf("move.onnx: it has %x\nand not %x", movingGraph, want)
	}
}
