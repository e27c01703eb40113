//go:build cgo

package export_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/protofield"
)

// widen rewrites a bundle's graphs so that a runtime without kernels for bfloat16 runs them: a node on bfloat16 gets
// float32 inputs and its outputs are rounded again, which is what a kernel with float32 inside does. Casts and lookups
// stay.
func widen(t testing.TB, dir string) {
	t.Helper()
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := b.Manifest
	for _, stage := range []bundle.Graph{m.Prelude, m.Block, m.Coda} {
		path := filepath.Join(dir, stage.File)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, widened(t, raw), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := bundle.Save(dir, &m); err != nil {
		t.Fatal(err)
	}
}

func widened(t testing.TB, model []byte) []byte {
	t.Helper()
	g := parse(t, model)
	types, _ := g.infer()
	var nodes []byte
	for i, n := range g.nodes {
		narrow := func(name string) bool { return types[name] == onnx.BFloat16 }
		if n.op == "Cast" || n.op == "Gather" || n.domain == onnx.Loopserve || !slices.ContainsFunc(append(n.inputs, n.outputs...), narrow) {
			nodes = appendMessage(nodes, 1, n.raw)
			continue
		}
		in, out := 0, 0
		var wide []byte
		var after [][]byte
		each(t, n.raw, func(f protofield.Field) {
			name := string(f.Bytes)
			switch {
			case f.Tag == 1 && narrow(name):
				to := fmt.Sprintf("wide_%d_in_%d", i, in)
				nodes = appendMessage(nodes, 1, castNode(name, to, onnx.Float))
				wide = appendString(wide, 1, to)
			case f.Tag == 2 && narrow(name):
				from := fmt.Sprintf("wide_%d_out_%d", i, out)
				after = append(after, castNode(from, name, onnx.BFloat16))
				wide = appendString(wide, 2, from)
			default:
				wide = append(wide, f.Raw...)
			}
			in, out = in+1, out+1
		})
		nodes = appendMessage(nodes, 1, wide)
		for _, c := range after {
			nodes = appendMessage(nodes, 1, c)
		}
	}
	to, err := protofield.Rewrite(model, func(f protofield.Field) (protofield.Field, error) {
		if f.Tag != 7 {
			return f, nil
		}
		each(t, f.Bytes, func(f protofield.Field) {
			if f.Tag != 1 {
				nodes = append(nodes, f.Raw...)
			}
		})
		return f.WithBytes(nodes), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func castNode(from, to string, elem onnx.Type) []byte {
	attr := appendString(nil, 1, "to")
	attr = protowire.AppendVarint(protowire.AppendTag(attr, 3, protowire.VarintType), uint64(elem))
	attr = protowire.AppendVarint(protowire.AppendTag(attr, 20, protowire.VarintType), 2)
	n := appendString(appendString(nil, 1, from), 2, to)
	return appendMessage(appendString(n, 4, "Cast"), 5, attr)
}

func appendMessage(b []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), content)
}

func appendString(b []byte, number protowire.Number, s string) []byte {
	return appendMessage(b, number, []byte(s))
}
