//go:build cgo

package export_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
	"github.com/loopserve/loopserve/runtime/ort"
)

// one is a sequence on a bundle, at one loop count.
type one struct {
	goOn func(tokens []int32) ([][]float32, error)
}

func newOne(e engine.Engine, loops int) *one { return &one{parity.Alone(e, loops, 0)} }

// feed gives the logits of each of the tokens, its own memory.
func (s *one) feed(t testing.TB, tokens []int32) [][]float32 {
	t.Helper()
	logits, err := s.goOn(tokens)
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

// greedy continues the prompt and gives the tokens and the logits that each was taken from.
func (s *one) greedy(t testing.TB, prompt []int32, n int) (tokens []int32, logits [][]float32) {
	t.Helper()
	feed := prompt
	for range n {
		all := s.feed(t, feed)
		last := all[len(all)-1]
		logits, tokens = append(logits, last), append(tokens, argmax(last))
		feed = tokens[len(tokens)-1:]
	}
	return tokens, logits
}

func argmax(logits []float32) int32 { return int32(loopctl.Argmax(logits)) }

func openEnv(t testing.TB) *ort.Env {
	t.Helper()
	return enginetest.Env(t, 1)
}

// engineOf exports a checkpoint folder and opens what comes out.
func engineOf(t testing.TB, env *ort.Env, from string, opt export.Options) engine.Engine {
	t.Helper()
	opt.Exporter = "test"
	out := filepath.Join(t.TempDir(), "out")
	if _, err := export.Export(context.Background(), from, out, opt); err != nil {
		t.Fatal(err)
	}
	if opt.DType == export.BF16 {
		widen(t, out)
	}
	return enginetest.Open(t, env, out, engine.Options{PageSize: 16, KVBytes: 64 << 20, Sequence: 1})
}

// seeded is a Huginn whose config has the width of its noise.
func seeded() *Checkpoint {
	c := everyFamily()["huginn"]
	c.Config["init_values"] = map[string]any{"std": 0.06, "embed_scale": 9.8}
	return c
}

// somePrompt is n tokens of a vocabulary.
func somePrompt(n, vocab int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*i*7 + 3) % vocab)
	}
	return ids
}
