//go:build cgo

package engine_test

import (
	"slices"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/dense"
	"github.com/loopserve/loopserve/runtime/engine/paged"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Each kind of bundle gets its own engine, and both answer the same calls: a token goes through the three stages, its
// latent is found under its slot and changes with the block.
func TestOpenEitherKind(t *testing.T) {
	ort.CheckLeaks(t)
	env := openEnv(t)
	for dir, right := range map[string]func(engine.Engine) bool{
		adder:                 func(e engine.Engine) bool { _, ok := e.(*paged.Engine); return ok },
		"dense/testdata/tiny": func(e engine.Engine) bool { _, ok := e.(*dense.Engine); return ok },
	} {
		e := openEngine(t, env, dir, engine.Options{MaxRows: 4, KVBytes: 1 << 20})
		if !right(e) {
			t.Errorf("%s: opened as %T", dir, e)
		}
		b := row(loopctl.Span{Rows: []int32{3}, Tokens: []int32{5}, Pages: []int32{0}, LogitRows: []int32{0}})
		first, later := make([]float32, e.Capacity().Hidden), make([]float32, e.Capacity().Hidden)
		if err := e.Prelude(&b); err != nil {
			t.Fatal(err)
		}
		if err := e.Latent(3, first); err != nil {
			t.Fatal(err)
		}
		if info, err := e.Block(&b); err != nil || len(info.Delta) != 1 || info.Delta[0] <= 0 {
			t.Fatalf("%s: %+v, %v", dir, info, err)
		}
		if err := e.Latent(3, later); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(first, later) {
			t.Errorf("%s: the block left the latent as it was", dir)
		}
		logits, err := e.Coda(&b)
		if err != nil || len(logits) != 1 || len(logits[0]) != e.Capacity().Vocab {
			t.Errorf("%s: %d rows of logits, %v", dir, len(logits), err)
		}
	}
}
