//go:build cgo

package export_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// The state that the checkpoint asks for: zeros unless it is chosen, or upstream's truncated normal with the width of
// the config.
func TestInitialState(t *testing.T) {
	dir := goldentest.Dir(t, "golden")
	for path, want := range map[string]bundle.State{
		"huginn/tiny-2-4-2":         {Kind: "normal", Std: 0.06454972243679027, Scale: 9.797958971132712},
		"retrofit-llama/tiny-2-2-1": {Kind: "normal", Std: 0.008703882797784892, Scale: 1},
		"retrofit-olmo/tiny-2-2-2":  {Kind: "normal", Std: 0.008703882797784892, Scale: 1},
		"parcae/tiny-2-2-2":         {Kind: "normal", Std: math.Sqrt(2.0 / (5 * 96)), Scale: 1},
	} {
		from := filepath.Join(dir, filepath.FromSlash(path))
		for state, want := range map[string]bundle.State{"": {Kind: "zeros"}, "zeros": {Kind: "zeros"}, "normal": want} {
			m, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), export.Options{State: state, Exporter: "test"})
			if err != nil {
				t.Error(err)
				continue
			}
			if m.State != want {
				t.Errorf("%s, state %q: %+v, want %+v", path, state, m.State, want)
			}
		}
		other := changed(t, from, "state_init", "unit")
		_, err := export.Export(t.Context(), other, filepath.Join(t.TempDir(), "out"), export.Options{State: "normal"})
		mentions(t, err, "state_init", "like-init")
	}
}

// A seeded state repeats with its seed, in one piece and in two, and is another one with another seed.
func TestSeededStateRepeats(t *testing.T) {
	env := openEnv(t)
	e := engineOf(t, env, written(t, seeded(), "F32"), export.Options{State: export.StateNormal})
	prompt := somePrompt(17, 80)
	run := func(seed uint64, cut int) [][]float32 {
		s := &one{parity.Alone(e, 2, seed)}
		if cut == 0 {
			return s.feed(t, prompt)
		}
		return append(s.feed(t, prompt[:cut]), s.feed(t, prompt[cut:])...)
	}
	want := run(1, 0)
	if worst, std := spread(run(1, 6), want); worst > 1e-4*std {
		t.Errorf("the same seed in two pieces: max difference %v", worst)
	}
	if worst, std := spread(run(2, 0), want); worst < 1e-2*std {
		t.Errorf("another seed: max difference %v of a standard deviation %v", worst, std)
	}
}
