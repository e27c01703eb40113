package bundle

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/models/export/onnx"
)

const problemsFile = "testdata/problems.txt"

// What is said about graphs made by hand, each with one thing wrong or missing, is a text that people read: it is kept as
// one, testdata/problems.txt, in the order of the cases; -update writes it.
func TestProblemsInPlainWords(t *testing.T) {
	batch, seq, eight := onnx.Dynamic("batch"), onnx.Dynamic("seq"), onnx.Fixed(8)
	block := func(change func(g *onnx.Graph)) []byte {
		g := onnx.NewGraph("block")
		change(g)
		return g.Encode("test")
	}
	in := func(g *onnx.Graph) { g.Input("hidden", onnx.Float, batch, seq, eight) }
	out := func(g *onnx.Graph) { g.Output("hidden_out", onnx.Float, batch, seq, eight) }
	var text strings.Builder
	for _, c := range []struct {
		name string
		raw  []byte
	}{
		{"nothing wrong", block(func(g *onnx.Graph) { in(g); out(g) })},
		{"a batch of one is fine", block(func(g *onnx.Graph) {
			g.Input("hidden", onnx.Float, onnx.Fixed(1), seq, eight)
			g.Output("hidden_out", onnx.Float, onnx.Fixed(1), seq, eight)
		})},
		{"all that is optional is there", block(func(g *onnx.Graph) {
			in(g)
			g.Input("depth", onnx.Int64, batch)
			g.Input("position_ids", onnx.Int64, batch, seq)
			g.Input("attention_mask", onnx.Int64, batch, seq)
			out(g)
			g.Output("delta", onnx.Float, batch, seq)
		})},
		{"no inputs and no outputs", block(func(*onnx.Graph) {})},
		{"torch's own names", block(func(g *onnx.Graph) {
			g.Input("x", onnx.Float, batch, seq, eight)
			g.Output("add_3", onnx.Float, batch, seq, eight)
		})},
		{"the length is that of the example", block(func(g *onnx.Graph) {
			g.Input("hidden", onnx.Float, onnx.Fixed(1), onnx.Fixed(16), eight)
			out(g)
		})},
		{"batch and length are the example's", block(func(g *onnx.Graph) {
			g.Input("hidden", onnx.Float, onnx.Fixed(2), onnx.Fixed(16), eight)
			g.Output("hidden_out", onnx.Float, onnx.Fixed(2), onnx.Fixed(16), eight)
		})},
		{"no batch axis", block(func(g *onnx.Graph) {
			g.Input("hidden", onnx.Float, seq, eight)
			out(g)
		})},
		{"half precision", block(func(g *onnx.Graph) {
			g.Input("hidden", onnx.Float16, batch, seq, eight)
			out(g)
		})},
		{"another hidden size", block(func(g *onnx.Graph) {
			g.Input("hidden", onnx.Float, batch, seq, onnx.Fixed(16))
			g.Output("hidden_out", onnx.Float, batch, seq, onnx.Fixed(16))
		})},
		{"a mask of the wrong type", block(func(g *onnx.Graph) {
			in(g)
			g.Input("attention_mask", onnx.Float, batch, seq)
			out(g)
		})},
		{"an input that nothing feeds", block(func(g *onnx.Graph) {
			in(g)
			g.Input("temperature", onnx.Float, batch)
			out(g)
		})},
		{"paged attention", block(func(g *onnx.Graph) {
			in(g)
			g.Node(onnx.Loopserve, "PagedAttention", []string{"hidden"})
			out(g)
		})},
	} {
		m := &Manifest{Kind: KindDense, HiddenSize: 8, VocabSize: 10, Precision: Precision{Activations: "f32"}}
		_, err := checkGraph(c.raw, namedGraph{Graph{File: "block.onnx", Layers: 1}, "block"}, m)
		fmt.Fprintf(&text, "# %s\n", c.name)
		problems := Problems(err)
		switch {
		case err == nil:
			fmt.Fprintln(&text, "fine")
		case problems == nil:
			fmt.Fprintln(&text, err)
		}
		for _, p := range problems {
			p.Write(&text, "")
		}
		fmt.Fprintln(&text)
	}
	if f := flag.Lookup("update"); f.Value.String() == "true" { // schema_test.go's
		if err := os.WriteFile(problemsFile, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(problemsFile)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("the messages are not those of %s:\n%s", problemsFile, &text)
	}
}
