package export_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/models/export/onnx"
)

// Every graph of a 16-bit bundle types, node by node, and asks CUDA for kernels that it has: what a machine without a
// device can say. Each layer has one PagedAttention, on its own slabs, and the last gives the caches back.
func TestCUDAGraphsType(t *testing.T) {
	for name, c := range everyFamily() {
		from := written(t, c, "F32")
		for dtype, elem := range map[string]onnx.Type{export.F16: onnx.Float16, export.BF16: onnx.BFloat16} {
			for _, head := range []string{dtype, export.F32} {
				out := filepath.Join(t.TempDir(), "out")
				opt := export.Options{DType: dtype, Head: head, Exporter: "test"}
				if slices.Contains([]string{"llama", "qwen2", "qwen3"}, name) { // looped without training they have nodes of their own
					opt.Loop = "1-1"
				}
				m, err := export.Export(t.Context(), from, out, opt)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if m.Provider != bundle.ProviderCUDA || m.Precision.Activations != dtype || m.Precision.Weights != dtype || m.Precision.Embedding != dtype || m.Precision.Head != head {
					t.Errorf("%s: provider %q, precision %+v", name, m.Provider, m.Precision)
				}
				if _, err := bundle.Open(out, bundle.Options{}); err != nil {
					t.Errorf("%s %s: %v", name, dtype, err)
				}
				for _, stage := range []bundle.Graph{m.Prelude, m.Block, m.Coda} {
					raw, err := os.ReadFile(filepath.Join(out, stage.File))
					if err != nil {
						t.Fatal(err)
					}
					g := parse(t, raw)
					types, errs := g.infer()
					for _, err := range errs {
						t.Errorf("%s %s %s: %v", name, dtype, stage.File, err)
					}
					g.checkPaging(t, stage.Layers)
					if types["hidden"] != 0 && types["hidden"] != elem || types["logits"] != 0 && types["logits"] != onnx.Float {
						t.Errorf("%s: hidden has type %d and logits %d", name, types["hidden"], types["logits"])
					}
				}
			}
		}
	}
}

func (g *graph) checkPaging(t *testing.T, layers int) {
	t.Helper()
	var tables []string
	at := slices.Clone(g.nodes)
	at = slices.DeleteFunc(at, func(n node) bool { return n.op != "PagedAttention" })
	for i, n := range at {
		if n.domain != onnx.Microsoft || n.inputs[3] != "key_cache" || n.inputs[4] != "value_cache" || (n.attrs["do_rotary"] == 1) != (n.inputs[8] != "") {
			t.Errorf("layer %d's attention is %s.%s of %v", i, n.domain, n.op, n.inputs)
		}
		tables = append(tables, n.inputs[7])
		want := 1
		if i == layers-1 {
			want = 3
		}
		if len(n.outputs) != want {
			t.Errorf("layer %d of %d gives %v", i, layers, n.outputs)
		}
	}
	slices.Sort(tables)
	if len(at) != layers || len(slices.Compact(tables)) != layers {
		t.Errorf("%d attention nodes on the page tables %v, for %d layers", len(at), tables, layers)
	}
}

// What can't be on CUDA is refused by name.
func TestPrecisionsThatAreRefused(t *testing.T) {
	from := written(t, everyFamily()["ouro"], "F32")
	for _, c := range []struct {
		opt  export.Options
		want []string
	}{
		{export.Options{DType: "f64"}, []string{"dtype", "f64", "bf16"}},
		{export.Options{DType: "f16", Weights: "int4"}, []string{"weights", "int4", "CUDA"}},
		{export.Options{DType: "f16", Embedding: "bf16"}, []string{"embedding", "bf16"}},
		{export.Options{DType: "bf16", Head: "int8"}, []string{"head", "int8"}},
		{export.Options{Weights: "f16"}, []string{"weights", "f16", "CPU"}},
		{export.Options{Weights: "int5"}, []string{"weights", "int5", "int8"}},
		{export.Options{Head: "f16"}, []string{"head", "f16", "CPU", "bf16"}},
		{export.Options{Embedding: "int2"}, []string{"embedding", "int2"}},
		{export.Options{State: "uniform"}, []string{"state", "uniform", "normal"}},
		{export.Options{State: "normal"}, []string{"state", "prelude"}},
	} {
		_, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), c.opt)
		mentions(t, err, c.want...)
	}
	odd := tiny
	odd.HeadDim = 24
	dir := t.TempDir()
	if err := odd.Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	_, err := export.Export(t.Context(), dir, filepath.Join(t.TempDir(), "out"), export.Options{DType: "f16"})
	mentions(t, err, "head_dim is 24", "16")
}
