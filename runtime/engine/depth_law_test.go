//go:build cgo

package engine_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/engine"
)

// varied draws how p's depth is decided.
func (p *player) varied(rng *rand.Rand, l loopctl.Capacity) {
	p.rank = rng.IntN(3)
	switch rng.IntN(3) {
	case 0:
		if p.loops > 1 && l.KV.Planes == 0 {
			p.draft = 1 + rng.IntN(p.loops-1)
		}
	case 1:
		p.exit = loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.05 + 0.5*rng.Float64(), MinLoops: rng.IntN(p.loops + 1)}
	default:
		p.exit = loopctl.ExitPolicy{Kind: loopctl.ExitKL + loopctl.ExitKind(rng.IntN(3)), Agree: rng.IntN(3)}
		if p.exit.Kind == loopctl.ExitArgmax {
			p.exit.Threshold = 2
		}
	}
}

// The law where rows leave early, guess and are preempted, under each KV policy.
func TestLawOfDepths(t *testing.T) {
	if testing.Short() {
		t.Skip("plays whole mixes")
	}
	env := openEnv(t)
	for name, planes := range map[string]int{"depth": 0, "latest": 1} {
		t.Run("all layers in the block/"+name, func(t *testing.T) {
			e := openEngine(t, env, adder, engine.Options{MaxRows: 24, PageSize: 4, KVBytes: 38 * 8 * 4096, KV: loopctl.KVPolicy{Planes: planes}})
			lawOf(t, e, 1e-3, 4, addition, true)
		})
	}
	for name, c := range map[string]struct {
		folder string
		kv     loopctl.KVPolicy
	}{
		"prelude and coda layers": {"looped-llama/tiny-middle-1-2x3-1", loopctl.KVPolicy{}},
		"injection, modulo:4":     {"huginn/tiny-2-4-2", loopctl.KVPolicy{Planes: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(goldentest.Dir(t, "golden"), filepath.FromSlash(c.folder))
			truth := openCase(t, path)
			e := openEngine(t, env, exported(t, truth), engine.Options{MaxRows: 20, PageSize: 4, KVBytes: 40 * 8192 * 4, KV: c.kv, Sequence: 4, Context: 128})
			lawOf(t, e, truth.Within("logits"), 4, anyTokens, true)
		})
	}
}
