//go:build cgo

package export_test

import (
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/export"
)

// Embedding and head are chosen apart from the layers: the runtime's own lookups of each kind give the rows that the
// table holds, within its precision. bfloat16 of a bfloat16 checkpoint takes nothing.
func TestEmbeddingAndHeadPrecisions(t *testing.T) {
	env := openEnv(t)
	for name, c := range everyFamily() {
		from := written(t, c, "BF16")
		prompt := somePrompt(15, 80)
		want := newOne(engineOf(t, env, from, export.Options{}), 2).feed(t, prompt)
		for _, p := range []struct {
			opt  export.Options
			most float64 // of the logits' standard deviation
		}{
			{export.Options{Embedding: export.BF16}, 0},
			{export.Options{Embedding: export.F16}, 0.002},
			{export.Options{Embedding: export.Int8}, 0.1},
			{export.Options{Embedding: export.Int4}, 2},
			{export.Options{Head: export.Int8}, 0.1},
			{export.Options{Head: export.Int4}, 1},
			{export.Options{Embedding: export.Int8, Head: export.Int8, Weights: export.Int8}, 0.4},
		} {
			e := engineOf(t, env, from, p.opt)
			worst, std := spread(newOne(e, 2).feed(t, prompt), want)
			if !(worst <= p.most*std) {
				t.Errorf("%s, %+v: max difference %.4f of a standard deviation %.3f", name, p.opt, worst, std)
			}
			t.Logf("%s, embedding %q head %q weights %q: max difference %.4f of a standard deviation %.3f", name, p.opt.Embedding, p.opt.Head, p.opt.Weights, worst, std)
			got := e.Manifest().Precision
			for _, v := range [][2]string{{got.Embedding, p.opt.Embedding}, {got.Head, p.opt.Head}} {
				if v[1] != "" && v[0] != v[1] {
					t.Errorf("%s, %+v: the manifest says %+v", name, p.opt, got)
				}
			}
		}
	}
}

// Widths that no block divides: rows end where their numbers end.
func TestEmbeddingOfOddWidths(t *testing.T) {
	env := openEnv(t)
	for _, hidden := range []int{40, 48, 72, 100} {
		s := random.LoopedLlama{Hidden: hidden, Heads: 2, HeadDim: 16, FFN: 64, Vocab: 50, Context: 64, Loop: 1, Loops: 2}
		from := t.TempDir()
		if err := s.Write(from, 3); err != nil {
			t.Fatal(err)
		}
		prompt := somePrompt(11, 50)
		want := newOne(engineOf(t, env, from, export.Options{}), 2).feed(t, prompt)
		for embedding, most := range map[string]float64{export.Int8: 0.1, export.Int4: 2} {
			worst, std := spread(newOne(engineOf(t, env, from, export.Options{Embedding: embedding}), 2).feed(t, prompt), want)
			if !(worst <= most*std) {
				t.Errorf("hidden %d, %s embedding: max difference %.4f of a standard deviation %.3f", hidden, embedding, worst, std)
			}
		}
	}
	odd := random.LoopedLlama{Hidden: 41, Heads: 2, HeadDim: 16, FFN: 64, Vocab: 50, Context: 64, Loop: 1}
	from := t.TempDir()
	if err := odd.Write(from, 3); err != nil {
		t.Fatal(err)
	}
	_, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), export.Options{Embedding: export.Int4})
	mentions(t, err, "model.embed_tokens.weight", "41", "int8")
}

// A tied float head of ONNX's own product is the embedding's bytes; one that is packed for ours is not.
func TestTiedTablesShareTheirBytes(t *testing.T) {
	size := func(head string) int64 {
		s := random.LoopedLlama{Hidden: 64, Heads: 1, HeadDim: 64, FFN: 32, Vocab: 1024, Loop: 1, Tied: true}
		from := t.TempDir()
		if err := s.Write(from, 1); err != nil {
			t.Fatal(err)
		}
		m, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), export.Options{Head: head, Unfused: true, Exporter: "test"})
		if err != nil {
			t.Fatal(err)
		}
		return m.Files["weights.data"].Size
	}
	both := size(export.F32)
	for head, bytes := range map[string]int64{export.BF16: 1024 * 64 * 2, export.Int8: 1024 * 64 * 17 / 16, export.Int4: 1024 * 64 * 5 / 8} {
		if got := size(head) - both; got < bytes || got > bytes+4096 {
			t.Errorf("%s: the bundle is %d bytes larger, its head takes %d", head, got, bytes)
		}
	}
}
