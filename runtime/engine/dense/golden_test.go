//go:build cgo

package dense_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
	"github.com/loopserve/loopserve/runtime/ort"
)

// tiny is docs/examples/dense/export_block.py's bundle of hidden 16, exported by torch.onnx, with PyTorch's own answers.
const tiny = "testdata/tiny"

func openEngine(t testing.TB, dir string, opt engine.Options) engine.Engine {
	t.Helper()
	return enginetest.Open(t, enginetest.Env(t, 1), dir, opt)
}

// A block that torch.onnx exported gives PyTorch's logits, states and greedy tokens: whole, in chunks, token by token,
// and beside a sequence of another length at another depth.
func TestPyTorchsOwnAnswers(t *testing.T) {
	ort.CheckLeaks(t)
	c, err := golden.Open(filepath.Join(tiny, "golden"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for name, chunk := range map[string]int{"whole": 0, "chunks": 7, "one by one": 1, "in company": 0, "chunks in company": 7} {
		t.Run(name, func(t *testing.T) {
			var e parity.Engine = openEngine(t, tiny, engine.Options{PageSize: 8, KVBytes: 4 << 20})
			if strings.Contains(name, "company") {
				e = enginetest.InCompany(e)
			}
			report, err := parity.Check(e, c, parity.Options{Chunk: chunk})
			if err != nil {
				t.Fatal(err)
			}
			report.WriteSummary(t.Output())
			if !report.OK() || len(report.Lines) < 20 || len(report.Left) > 0 {
				report.Write(t.Output())
				t.Error("it differs, or too little was compared")
			}
		})
	}
}
