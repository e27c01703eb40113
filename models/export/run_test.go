//go:build cgo

package export_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/models/export/exporttest"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
	"github.com/loopserve/loopserve/runtime/ort"
)

// one runs one sequence on a bundle, at one loop count, on pages of its own.
type one struct {
	e      *engine.Engine
	loops  int
	seed   uint64
	done   int
	tables [3][][]int32
}

func newOne(e *engine.Engine, loops int) *one {
	s := &one{e: e, loops: loops}
	limits := e.Limits()
	for stage, planes := range []int{1, loops, 1} {
		s.tables[stage] = make([][]int32, planes)
		if limits.Pages[stage] == 0 {
			continue
		}
		each := min(limits.Pages[stage]/planes, (limits.Context+limits.PageSize-1)/limits.PageSize)
		for p := range planes {
			for i := range each {
				s.tables[stage][p] = append(s.tables[stage][p], int32(p*each+i))
			}
		}
	}
	return s
}

func (s *one) batch(stage loopctl.Stage, depth int, tokens []int32) *loopctl.Batch {
	span := loopctl.Span{Depth: depth, Past: s.done, Tokens: tokens, Seed: s.seed, Rows: make([]int32, len(tokens))}
	for i := range span.Rows {
		span.Rows[i] = int32(i)
	}
	plane := 0
	if stage == loopctl.StageBlock {
		plane = depth
	} else {
		span.Depth = 0
	}
	if stage == loopctl.StageCoda {
		span.LogitRows = span.Rows
	}
	table, size := s.tables[stage][plane], s.e.Limits().PageSize
	if len(table) > 0 {
		span.Pages = table[:(s.done+len(tokens)+size-1)/size]
	}
	return &loopctl.Batch{Rows: len(tokens), Spans: []loopctl.Span{span}}
}

// feed gives the logits of each of the tokens, its own memory.
func (s *one) feed(t testing.TB, tokens []int32) [][]float32 {
	t.Helper()
	if err := s.e.Prelude(s.batch(loopctl.StagePrelude, 0, tokens)); err != nil {
		t.Fatal(err)
	}
	for depth := range s.loops {
		if _, err := s.e.Block(s.batch(loopctl.StageBlock, depth, tokens)); err != nil {
			t.Fatal(err)
		}
	}
	logits, err := s.e.Coda(s.batch(loopctl.StageCoda, 0, tokens))
	if err != nil {
		t.Fatal(err)
	}
	s.done += len(tokens)
	out := make([][]float32, len(logits))
	for i := range out {
		out[i] = append([]float32(nil), logits[i]...)
	}
	return out
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

func argmax(v []float32) int32 {
	best := 0
	for i := range v {
		if v[i] > v[best] {
			best = i
		}
	}
	return int32(best)
}

func openEnv(t testing.TB) *ort.Env {
	t.Helper()
	return enginetest.Env(t, 1)
}

// engineOf exports a checkpoint folder and opens what comes out.
func engineOf(t testing.TB, env *ort.Env, from string, opt export.Options) *engine.Engine {
	t.Helper()
	opt.Exporter = "test"
	out := filepath.Join(t.TempDir(), "out")
	if _, err := export.Export(context.Background(), from, out, opt); err != nil {
		t.Fatal(err)
	}
	if opt.DType == export.BF16 {
		widen(t, out)
	}
	return enginetest.Open(t, env, out, engine.Options{PageSize: 16, KVBytes: 64 << 20, Sequence: 1}, engine.New)
}

// seeded is a Huginn whose config has the width of its noise.
func seeded() *exporttest.Checkpoint {
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
