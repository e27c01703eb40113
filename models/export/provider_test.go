//go:build cgo

package export_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/native"
	"github.com/loopserve/loopserve/runtime/ort"
)

// A bundle for CUDA on the CPU is refused with what to do, before the runtime loads anything. The runtime itself, given
// the graph, has nothing against its types and shapes, by its own schema of the operator: it only has no kernel.
func TestCUDABundleOnTheCPU(t *testing.T) {
	env := openEnv(t)
	for name, c := range everyFamily() {
		out := filepath.Join(t.TempDir(), "out")
		if _, err := export.Export(t.Context(), written(t, c, "F32"), out, export.Options{DType: "f16", Exporter: "test"}); err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Open(out, bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = engine.Open(env, b, engine.Options{})
		if !errors.Is(err, bundle.ErrProvider) {
			t.Fatalf("%s: %v", name, err)
		}
		mentions(t, err, "f16", "CUDA", "provider: cuda", "--dtype f32")
		var memory native.Memory
		graphs, files, err := memory.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		_, err = env.LoadBytes("block.onnx", graphs[1], ort.SessionOptions{Files: files})
		if err == nil || !strings.Contains(err.Error(), "Could not find an implementation for PagedAttention") {
			t.Errorf("%s: the runtime says %v", name, err)
		}
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	}
}
