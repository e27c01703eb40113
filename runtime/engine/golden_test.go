//go:build cgo

package engine_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Every case of an exportable family gives the reference's logits, states, gates, exits and greedy tokens: whole, in
// chunks that cross page borders, token by token, and with another sequence at another depth in every call.
func TestGolden(t *testing.T) {
	env := openEnv(t)
	eachCase(t, func(name string, c *golden.Case, dir string) {
		for how, chunk := range chunks {
			t.Run(name+"/"+how, func(t *testing.T) {
				var e parity.Engine = openEngine(t, env, dir, engine.Options{PageSize: 16, KVBytes: 64 << 20})
				if strings.Contains(how, "company") {
					e = inCompany(e)
				}
				report, err := parity.Check(e, c, parity.Options{Chunk: chunk})
				if err != nil {
					t.Fatal(err)
				}
				if !report.OK() {
					report.Write(t.Output())
					t.Error("outside the tolerance")
				}
			})
		}
	})
}

// A block that torch.onnx exported gives PyTorch's logits, states and greedy tokens: whole, in chunks, token by token,
// and beside a sequence of another length at another depth.
func TestPyTorchsOwnAnswers(t *testing.T) {
	const tiny = "dense/testdata/tiny" // docs/examples/dense/export_block.py's bundle of hidden 16
	ort.CheckLeaks(t)
	c := openCase(t, filepath.Join(tiny, "golden"))
	for how, chunk := range chunks {
		t.Run(how, func(t *testing.T) {
			var e parity.Engine = openEngine(t, enginetest.Env(t, 1), tiny, engine.Options{PageSize: 8, KVBytes: 4 << 20})
			if strings.Contains(how, "company") {
				e = inCompany(e)
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

// chunks are the ways that prompts go in: tokens in a call, 0 for all of them.
var chunks = map[string]int{"whole": 0, "chunks": 7, "one by one": 1, "in company": 0, "chunks in company": 7}

func openEnv(t testing.TB) *ort.Env {
	t.Helper()
	return enginetest.Env(t, 2)
}

func openEngine(t testing.TB, env *ort.Env, dir string, opt engine.Options) engine.Engine {
	t.Helper()
	return enginetest.Open(t, env, dir, opt)
}

// A plain decoder of which some layers are the block: at one loop it is the model still; at more the block is simply repeated,
// which the vectors of training-free looping show as naive.
func TestGoldenWindow(t *testing.T) {
	env := openEnv(t)
	for path, loop := range map[string]string{"llama/tiny-gqa-llama3": "1-2", "qwen2/tiny-tied-bf16": "1-2", "qwen3/tiny-qknorm-v5": "2-3"} {
		t.Run(path, func(t *testing.T) {
			c := openCase(t, filepath.Join(goldentest.Dir(t, "golden"), filepath.FromSlash(path)))
			dir := filepath.Join(t.TempDir(), "case")
			if _, err := export.Export(t.Context(), c.Dir, dir, export.Options{Loop: loop, Exporter: "test"}); err != nil {
				t.Fatal(err)
			}
			e := openEngine(t, env, dir, engine.Options{PageSize: 16, KVBytes: 64 << 20})
			report, err := parity.Check(e, c, parity.Options{Chunk: 7})
			if err != nil {
				t.Fatal(err)
			}
			if !report.OK() || len(report.Lines) < 5 {
				report.Write(t.Output())
				t.Error("outside the tolerance, or too little was compared")
			}
			ids, err := c.IDs("prompt_1/ids")
			if err != nil {
				t.Fatal(err)
			}
			want, shape, err := c.Floats("naive/prompt_1/T_3/logits")
			if err != nil {
				t.Fatal(err)
			}
			logits, err := parity.Alone(e, 3, 0)(ids)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range want {
				if got := logits[i/int(shape[1])][i%int(shape[1])]; math.Abs(float64(got-w)) > c.Within("logits") {
					t.Fatalf("naive, row %d: %v, want %v", i/int(shape[1]), got, w)
				}
			}
		})
	}
}
