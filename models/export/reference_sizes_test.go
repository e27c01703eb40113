//go:build cgo

package export_test

import (
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
)

// Sizes that the vectors do not have, against the reference written from the mathematics: one and many heads, every
// ratio of grouped queries, stages without layers, a layer more than two, odd widths, other θ.
func TestOtherSizes(t *testing.T) {
	env := enginetest.Env(t, 2)
	one := Size{Hidden: 40, Heads: 5, KVHeads: 1, HeadDim: 8, FFN: 56, Vocab: 37, Context: 64, Prelude: 1, Loop: 3, Coda: 1, Loops: 3, Theta: 1000}
	two := Size{Hidden: 48, Heads: 2, KVHeads: 2, HeadDim: 24, FFN: 33, Vocab: 50, Context: 64, Loop: 1, Loops: 2, Theta: 2e6}
	three := Size{Hidden: 64, Heads: 8, KVHeads: 4, HeadDim: 8, FFN: 72, Vocab: 64, Context: 128, Prelude: 3, Loop: 2, Coda: 0, Loops: 5, Theta: 30000}
	for size, s := range map[string]Size{"one": one, "two": two, "three": three} {
		for family, checkpoint := range s.Families(size == "two") {
			t.Run(family+" "+size, func(t *testing.T) {
				from := t.TempDir()
				if err := random.Write(from, checkpoint.Config, checkpoint.Tensors, "F32", 7); err != nil {
					t.Fatal(err)
				}
				prompt := make([]int, 23)
				for i := range prompt {
					prompt[i] = (i*i*7 + 3) % s.Vocab
				}
				if err := writeCase(from, prompt, 1, s.Loops); err != nil {
					t.Fatal(err)
				}
				c, err := golden.Open(from)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				dir := filepath.Join(t.TempDir(), "case")
				if _, err := export.Export(t.Context(), from, dir, export.Options{Exporter: "test"}); err != nil {
					t.Fatal(err)
				}
				e := enginetest.Open(t, env, dir, engine.Options{PageSize: 8, KVBytes: 64 << 20})
				for _, chunk := range []int{0, 5} {
					report, err := parity.Check(e, c, parity.Options{Chunk: chunk})
					if err != nil {
						t.Fatal(err)
					}
					report.Write(t.Output())
					if !report.OK() {
						t.Error("outside the tolerance")
					}
				}
			})
		}
	}
}
