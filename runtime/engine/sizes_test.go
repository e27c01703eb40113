//go:build cgo

package engine_test

import (
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/models/export/exporttest"
	"github.com/loopserve/loopserve/models/export/reference"
	"github.com/loopserve/loopserve/runtime/engine"
)

// Sizes that the vectors do not have, against the reference written from the mathematics: one and many heads, every
// ratio of grouped queries, stages without layers, a layer more than two, odd widths, other θ.
func TestOtherSizes(t *testing.T) {
	env := openEnv(t)
	one := exporttest.Size{Hidden: 40, Heads: 5, KVHeads: 1, HeadDim: 8, FFN: 56, Vocab: 37, Context: 64, Prelude: 1, Loop: 3, Coda: 1, Loops: 3, Theta: 1000}
	two := exporttest.Size{Hidden: 48, Heads: 2, KVHeads: 2, HeadDim: 24, FFN: 33, Vocab: 50, Context: 64, Loop: 1, Loops: 2, Theta: 2e6}
	three := exporttest.Size{Hidden: 64, Heads: 8, KVHeads: 4, HeadDim: 8, FFN: 72, Vocab: 64, Context: 128, Prelude: 3, Loop: 2, Coda: 0, Loops: 5, Theta: 30000}
	for size, s := range map[string]exporttest.Size{"one": one, "two": two, "three": three} {
		llama := exporttest.LoopedLlama{
			Hidden: s.Hidden, Heads: s.Heads, KVHeads: s.KVHeads, HeadDim: 2 * s.HeadDim, FFN: s.FFN, Vocab: s.Vocab,
			Context: s.Context, Prelude: s.Prelude, Loop: s.Loop, Coda: s.Coda, Loops: s.Loops, Theta: s.Theta, Tied: size == "two",
		}
		for family, c := range map[string]*exporttest.Checkpoint{
			"looped_llama": {Config: llama.Config(), Tensors: llama.Tensors()},
			"ouro":         s.Ouro(), "nanbeige": s.Nanbeige(), "huginn": s.Huginn(), "parcae": s.Parcae(),
			"retrofit llama": s.Retrofit(false), "retrofit olmo": s.Retrofit(true),
		} {
			t.Run(family+" "+size, func(t *testing.T) {
				from, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
				if err := exporttest.Write(from, c.Config, c.Tensors, "F32", 7); err != nil {
					t.Fatal(err)
				}
				prompt := make([]int, 23)
				for i := range prompt {
					prompt[i] = (i*i*7 + 3) % s.Vocab
				}
				if err := reference.WriteCase(from, prompt, 1, s.Loops); err != nil {
					t.Fatal(err)
				}
				checkpoint, err := golden.Open(from)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { checkpoint.Close() })
				if _, err := export.Export(t.Context(), from, out, export.Options{Exporter: "test"}); err != nil {
					t.Fatal(err)
				}
				e := openEngine(t, env, out, engine.Options{PageSize: 8, KVBytes: 64 << 20})
				for _, chunk := range []int{0, 5} {
					report, err := parity.Check(e, checkpoint, parity.Options{Chunk: chunk})
					if err != nil {
						t.Fatal(err)
					}
					var b logWriter = t.Logf
					report.Write(b)
					if !report.OK() {
						t.Error("outside the tolerance")
					}
				}
			})
		}
	}
}
