//go:build cgo

package engine_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Every case of an exportable family gives the reference's logits, states, gates, exits and greedy tokens: whole, in
// chunks that cross page borders, token by token, and with another sequence at another depth in every call.
func TestGolden(t *testing.T) {
	dir := golden.Dir(t, "golden")
	env := openEnv(t)
	cases, err := golden.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, path := range cases {
		c, err := golden.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if !slices.Contains(export.Families(), c.ModelType) && !slices.Contains(export.Families(), c.Family) {
			continue // a family that this version does not export; an issue of its own
		}
		ran++
		out := filepath.Join(t.TempDir(), "case")
		if _, err := export.Export(t.Context(), path, out, export.Options{Exporter: "test"}); err != nil {
			t.Fatal(err)
		}
		for name, opt := range map[string]parity.Options{
			"whole": {}, "chunks": {Chunk: 7}, "one by one": {Chunk: 1},
			"in company": {Company: true}, "chunks in company": {Chunk: 7, Company: true},
		} {
			t.Run(c.Family+"/"+filepath.Base(path)+"/"+name, func(t *testing.T) {
				e := openEngine(t, env, out, engine.Options{PageSize: 16, KVBytes: 64 << 20})
				report, err := parity.Check(e, c, opt)
				if err != nil {
					t.Fatal(err)
				}
				if !report.OK() {
					var b logWriter = t.Logf
					report.Write(b)
					t.Error("outside the tolerance")
				}
			})
		}
	}
	if ran == 0 {
		t.Errorf("none of the cases under %s is of a family in %v", dir, export.Families())
	}
}

type logWriter func(format string, args ...any)

func (w logWriter) Write(p []byte) (int, error) {
	w("%s", p)
	return len(p), nil
}

func openEnv(t testing.TB) *ort.Env {
	t.Helper()
	return enginetest.Env(t, 2)
}

func openEngine(t testing.TB, env *ort.Env, dir string, opt engine.Options) *engine.Engine {
	t.Helper()
	return enginetest.Open(t, env, dir, opt, engine.New)
}
