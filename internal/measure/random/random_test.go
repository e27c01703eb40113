package random

import (
	"strings"
	"testing"

	"github.com/loopserve/loopserve/models/bundle"
)

// made is the manifest of the bundle that a description makes.
func made(t *testing.T, spec string) *bundle.Manifest {
	t.Helper()
	m, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := m.Make(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &b.Manifest
}

func TestRandom(t *testing.T) {
	if m := made(t, "hidden=16,layers=2,heads=2,ffn=32,vocab=64,context=32,loops=3,weights=int8,seed=7"); m.HiddenSize != 16 || m.Block.Layers != 2 || m.VocabSize != 64 || m.Precision.Weights != "int8" || m.Name != "random-h16-k2-int8" {
		t.Errorf("%+v", m)
	}
}

func TestRandomStages(t *testing.T) {
	if m := made(t, "hidden=16,layers=1,prelude=1,coda=2,heads=4,kv_heads=2,ffn=32,vocab=64,context=32,loops=3"); m.Prelude.Layers != 1 || m.Coda.Layers != 2 || m.Precision.Weights != "f32" {
		t.Errorf("%+v", m)
	}
}

func TestRandomNamesWhatIsWrong(t *testing.T) {
	for spec, want := range map[string]string{
		"": "must be key=value", "hidden": "must be key=value", "depth=3": `unknown key "depth"`, "hidden=x": `hidden is "x"`,
		"heads=0": "must be at least 1", "hidden=30,heads=4": "even integer", "kv_heads=3": "must divide", "hidden=-1": "must be an integer",
	} {
		if _, err := Parse(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", spec, err, want)
		}
	}
}
