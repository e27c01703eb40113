//go:build cgo

package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
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

// Large weights can be mapped: the engine computes the same before and after Settle, which the file's end does not touch any more.
func TestMappedWeights(t *testing.T) {
	ort.CheckLeaks(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(adder)); err != nil {
		t.Fatal(err)
	}
	const large = 64 << 20 // zeros after the weights, which no tensor has
	weights := filepath.Join(dir, "weights.data")
	raw, err := os.ReadFile(filepath.Join(dir, bundle.FileName))
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.Parse(raw)
	if err == nil {
		err = os.Truncate(weights, large)
	}
	if err == nil {
		err = bundle.Save(dir, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	inMaps := func() bool {
		maps, err := os.ReadFile("/proc/self/maps")
		return err == nil && bytes.Contains(maps, []byte(weights))
	}
	env := openEnv(t)
	prompt := []int32{1, 2, 3, 4, 5}
	logits := func(e engine.Engine) [][]float32 {
		out, err := parity.Alone(e, 4, 0)(prompt)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := logits(openEngine(t, env, adder, engine.Options{KVBytes: 1 << 20}))
	if e := openEngine(t, env, dir, engine.Options{KVBytes: 1 << 20}); inMaps() {
		t.Errorf("%T: the weights are mapped, though nobody asked for it", e)
	}
	e := openEngine(t, env, dir, engine.Options{KVBytes: 1 << 20, MapWeights: true})
	same := func(when string) {
		if !slices.EqualFunc(logits(e), want, slices.Equal) {
			t.Errorf("%s: other logits", when)
		}
	}
	if same("mapped"); !inMaps() {
		t.Error("the weights are not mapped")
	}
	if n, err := e.Settle(t.Context()); n != large || err != nil || inMaps() {
		t.Errorf("%d bytes settled, %v, still mapped: %v", n, err, inMaps())
	}
	if err := os.Truncate(weights, 0); err != nil {
		t.Fatal(err)
	}
	same("settled, without the file")
}
