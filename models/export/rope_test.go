package export_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/export"
)

// exported gives the sha256 of a checkpoint's weights.data, RoPE tables included.
func exported(t *testing.T, config map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	if err := random.Write(dir, config, tiny.Tensors(), "F32", 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.Export(context.Background(), dir, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return m.Files["weights.data"].SHA256
}

func ropeConfig(key string, v map[string]any) map[string]any {
	config := tiny.Config()
	config[key] = v
	return config
}

// rope_type and type are the new and the old name of one thing: either alone, or both where they agree, in
// rope_scaling as in rope_parameters.
func TestRopeKindUnderEitherName(t *testing.T) {
	scaled := func(more map[string]any) map[string]any {
		v := map[string]any{"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
		for k, x := range more {
			v[k] = x
		}
		return v
	}
	plain := exported(t, tiny.Config())
	want := exported(t, ropeConfig("rope_scaling", scaled(map[string]any{"rope_type": "llama3"})))
	if want == plain {
		t.Fatal("llama3 scaling changes nothing")
	}
	theta := tiny.Config()["rope_theta"]
	for name, config := range map[string]map[string]any{
		"type":            ropeConfig("rope_scaling", scaled(map[string]any{"type": "llama3"})),
		"both":            ropeConfig("rope_scaling", scaled(map[string]any{"type": "llama3", "rope_type": "llama3"})),
		"rope_parameters": ropeConfig("rope_parameters", scaled(map[string]any{"rope_type": "llama3", "rope_theta": theta})),
	} {
		if got := exported(t, config); got != want {
			t.Errorf("%s: other tables than with rope_type alone", name)
		}
	}
	for name, v := range map[string]map[string]any{
		"default": {"rope_type": "default"}, "default twice": {"rope_type": "default", "type": "default"},
	} {
		if got := exported(t, ropeConfig("rope_scaling", v)); got != plain {
			t.Errorf("%s: other tables than without rope_scaling", name)
		}
	}
}

func TestRopeThatIsRefused(t *testing.T) {
	for _, c := range []struct {
		key  string
		v    map[string]any
		want []string
	}{
		{"rope_scaling", map[string]any{"rope_type": "llama3", "type": "yarn", "factor": 4}, []string{"llama3", "yarn"}},
		{"rope_scaling", map[string]any{"rope_type": "default", "type": "linear"}, []string{"default", "linear"}},
		{"rope_scaling", map[string]any{"factor": 4}, []string{"rope_scaling", `""`}},
		{"rope_scaling", map[string]any{"type": "linear", "factor": 0.5}, []string{"linear", "0.5"}},
		{"rope_scaling", map[string]any{"type": "linear", "factor": 2, "beta_fast": 32}, []string{"linear", "beta_fast"}},
		{"rope_scaling", map[string]any{"type": "ntk", "factor": 2}, []string{"ntk", "yarn"}},
		{"rope_scaling", map[string]any{"type": "default", "factor": 2}, []string{"factor"}},
		{"rope_scaling", map[string]any{"rope_type": "default", "attention_factor": 1.2}, []string{"attention_factor"}},
		{"rope_parameters", map[string]any{"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}, []string{"partial_rotary_factor"}},
		{"rope_parameters", map[string]any{"rope_type": "default", "rope_theta": 123.0}, []string{"rope_theta", "123"}},
	} {
		mentions(t, try(t, ropeConfig(c.key, c.v), tiny.Tensors(), nil), c.want...)
	}
}

// A key that nobody knows may change the math: every family refuses it by name.
func TestUnknownKeysAreRefusedByEveryFamily(t *testing.T) {
	for _, path := range goldentest.Cases(t) {
		for _, key := range []string{"attn_logit_softcapping", "partial_rotary_factor", "a_new_switch"} {
			from := changed(t, path, key, 0.5)
			_, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
			mentions(t, err, key)
		}
	}
}
