//go:build cgo

package engine_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/protofield"
)

// tinyBundle is a whole bundle of a random checkpoint.
func tinyBundle(t *testing.T) *bundle.Bundle {
	t.Helper()
	hf, out := filepath.Join(t.TempDir(), "hf"), filepath.Join(t.TempDir(), "tiny")
	if err := (random.LoopedLlama{Hidden: 16, Heads: 2, FFN: 24, Vocab: 32, Loop: 2}).Write(hf, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := export.Export(t.Context(), hf, out, export.Options{Exporter: "test"}); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(out, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// graphOf is the fields of a model's graph.
func graphOf(t *testing.T, model []byte) []protofield.Field {
	t.Helper()
	all, err := fieldsOf(model)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Tag == modelGraph {
			graph, err := fieldsOf(f.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			return graph
		}
	}
	t.Fatal("no graph")
	return nil
}

func namesOf(t *testing.T, all []protofield.Field, number, inside protowire.Number) []string {
	t.Helper()
	out, err := stringsIn(all, number, inside)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// That it computes the same is tested where graphs can be run, in runtime/engine.
func TestUnrolledHasTheBlockOnceForEachLoop(t *testing.T) {
	b := tinyBundle(t)
	file := filepath.Join(b.Dir, "unrolled.onnx")
	if err := writeUnrolled(b, file, 3); err != nil {
		t.Fatal(err)
	}
	read := func(file string) []protofield.Field {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return graphOf(t, raw)
	}
	one, three := read(b.Path(b.Manifest.Block.File)), read(file)
	count := func(all []protofield.Field, number protowire.Number) (n int) {
		for _, f := range all {
			if f.Tag == number {
				n++
			}
		}
		return n
	}
	if n, m := count(one, graphNode), count(three, graphNode); m != 3*n {
		t.Errorf("%d nodes for 3 loops of %d", m, n)
	}
	if n, m := count(one, graphInitializer), count(three, graphInitializer); m != n {
		t.Errorf("%d weights, the block has %d", m, n)
	}
	inputs, outputs := namesOf(t, three, graphInput, valueName), namesOf(t, three, graphOutput, valueName)
	slices.Sort(inputs)
	slices.Sort(outputs)
	if got, want := strings.Join(inputs, " "), "block_table_0 block_table_1 block_table_2 cumulative_sequence_length hidden key_cache past_seqlens value_cache"; got != want {
		t.Errorf("inputs %s, want %s", got, want)
	}
	if got, want := strings.Join(outputs, " "), "delta_0 delta_1 delta_2 hidden_out"; got != want {
		t.Errorf("outputs %s, want %s", got, want)
	}
	for _, number := range []protowire.Number{nodeOutput, nodeName} {
		all := namesOf(t, three, graphNode, number)
		slices.Sort(all)
		for i := 1; i < len(all); i++ {
			if all[i] == all[i-1] && all[i] != "" {
				t.Errorf("two nodes give or are called %s", all[i])
			}
		}
	}
}

func TestUnrolledRefuses(t *testing.T) {
	b := tinyBundle(t)
	file := filepath.Join(t.TempDir(), "unrolled.onnx")
	block := b.Path(b.Manifest.Block.File)
	whole, err := os.ReadFile(block)
	if err != nil {
		t.Fatal(err)
	}
	graph := func(build func(g *onnx.Graph)) []byte {
		g := onnx.NewGraph("block")
		build(g)
		return g.Encode("test")
	}
	for _, c := range []struct {
		name  string
		block []byte
		loops int
		want  string
	}{
		{"no loops", whole, 0, "0 loops, must be at least 1"},
		{"a damaged graph", whole[:len(whole)-1], 2, "block.onnx of tiny"},
		{"a block that counts loops", graph(func(g *onnx.Graph) { g.Input("depth", onnx.Int64, onnx.Dynamic("rows")) }), 2, "the loop's number"},
		{"a block for CUDA", graph(func(g *onnx.Graph) { g.NodeTo("", "Identity", []string{"x"}, []string{"key_cache_out"}) }), 2, "only graphs for the CPU"},
		{"no block", nil, 2, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.Remove(block); err != nil {
				t.Fatal(err)
			}
			if c.block != nil {
				if err := os.WriteFile(block, c.block, 0o644); err != nil {
					t.Fatal(err)
				}
			} else {
				defer os.WriteFile(block, whole, 0o644) //nolint:errcheck // a later case would say so
			}
			err := writeUnrolled(b, file, c.loops)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if _, err := os.Stat(file); err == nil {
				t.Error("a graph was written all the same")
			}
		})
	}
}
