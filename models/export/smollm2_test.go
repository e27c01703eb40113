//go:build cgo

package export_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
)

// figures decodes a file of the real model's figures.
func figures(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(goldentest.Dir(t, "golden/smollm2"), name))
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// smollm2 exports the real model's GGUF file as prelude 13 + block 4 + coda 13, and opens it.
func smollm2(t *testing.T, weights string) func() *one {
	t.Helper()
	from, out := goldentest.SmolLM2(t), filepath.Join(t.TempDir(), "out")
	if _, err := export.Export(t.Context(), from, out, export.Options{Weights: weights, Loop: "13-16", Exporter: "test"}); err != nil {
		t.Fatal(err)
	}
	e := enginetest.Open(t, enginetest.Env(t, 2), out, engine.Options{PageSize: 16, KVBytes: 256 << 20, Sequence: 1})
	return func() *one { return newOne(e, 1) }
}

// A real model from its GGUF file gives transformers' logits and greedy tokens on all six prompts.
func TestGoldenSmolLM2(t *testing.T) {
	start := smollm2(t, export.F32)
	var file struct {
		Prompts []struct {
			Name  string  `json:"name"`
			IDs   []int32 `json:"ids"`
			Plain struct {
				Top    [][2]float64 `json:"top"`
				Greedy struct {
					IDs []int32 `json:"ids"`
				} `json:"greedy24"`
			} `json:"plain"`
		} `json:"prompts"`
	}
	figures(t, "smollm2.json", &file)
	if len(file.Prompts) != 6 {
		t.Fatalf("%d prompts", len(file.Prompts))
	}
	for _, p := range file.Prompts {
		tokens, logits := start().greedy(t, p.IDs, len(p.Plain.Greedy.IDs))
		if !slices.Equal(tokens, p.Plain.Greedy.IDs) || len(tokens) < 24 {
			t.Errorf("%s: greedy tokens %v, want %v", p.Name, tokens, p.Plain.Greedy.IDs)
		}
		for _, top := range p.Plain.Top { // of four decimals
			if got := float64(logits[0][int(top[0])]); math.Abs(got-top[1]) > 5e-4 {
				t.Errorf("%s: logit of %v is %.4f, want %.4f", p.Name, top[0], got, top[1])
			}
		}
	}
}

// Perplexity of the reference text (1,474 tokens, one pass) in every precision of the weights: docs/export.md has the table.
func TestGoldenSmolLM2Perplexity(t *testing.T) {
	var quality struct {
		IDs []int32 `json:"ids"`
	}
	figures(t, "quality.json", &quality)
	for _, c := range []struct {
		weights   string
		low, most float64
	}{{export.F32, 10.0829, 10.0839}, {export.Int8, 10, 10.2}, {export.Int4, 10, 10.6}, {export.Keep, 10, 10.6}} {
		t.Run(c.weights, func(t *testing.T) {
			seq, sum := smollm2(t, c.weights)(), 0.0
			const chunk = 128
			for from := 0; from < len(quality.IDs); from += chunk {
				ids := quality.IDs[from:min(from+chunk, len(quality.IDs))]
				for i, logits := range seq.feed(t, ids) {
					if next := from + i + 1; next < len(quality.IDs) {
						sum -= logProbability(logits, quality.IDs[next])
					}
				}
			}
			perplexity := math.Exp(sum / float64(len(quality.IDs)-1))
			t.Logf("perplexity %.4f", perplexity)
			if !(perplexity >= c.low && perplexity <= c.most) {
				t.Errorf("perplexity is %.4f, must be %v to %v", perplexity, c.low, c.most)
			}
		})
	}
}

func logProbability(logits []float32, id int32) float64 {
	high, sum := float64(slices.Max(logits)), 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - high)
	}
	return float64(logits[id]) - high - math.Log(sum)
}
