package export_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// Every checkpoint of the vectors becomes a bundle that opens, in every precision. That the numbers are right is runtime/engine's to show.
func TestEveryGoldenIsExported(t *testing.T) {
	for _, path := range goldentest.Cases(t) {
		for _, weights := range []string{"f32", "int8", "int4"} {
			out := filepath.Join(t.TempDir(), "out")
			if _, err := export.Export(t.Context(), path, out, export.Options{Weights: weights, Exporter: "test"}); err != nil {
				t.Errorf("%s: %v", weights, err)
				continue
			}
			if _, err := bundle.Open(out, bundle.Options{}); err != nil {
				t.Errorf("%s: %v", weights, err)
			}
		}
	}
}

// The list of families whose vectors wait is true: each is there, and is refused by name. One that gets its exporter leaves
// the list, and every test of the vectors runs on it from then on.
func TestNoExporterYet(t *testing.T) {
	for _, family := range goldentest.NoExporterYet {
		cases, err := goldentest.Find(goldentest.Dir(t, "golden/"+family))
		if err != nil || len(cases) == 0 {
			t.Errorf("%s: no case (%v)", family, err)
		}
		for _, path := range cases {
			_, err := export.Export(t.Context(), path, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
			if !errors.Is(err, export.ErrUnsupported) {
				t.Errorf("%s: %v; if it can be exported now, take it off goldentest.NoExporterYet", path, err)
			}
		}
	}
}

// The ids that a model stops on: from the config, except where the family's configs are known to be wrong.
func TestStopTokens(t *testing.T) {
	dir := goldentest.Dir(t, "golden")
	for _, c := range []struct {
		path string
		bos  int32
		stop []int32
	}{
		{"ouro/tiny-mha", 0, []int32{0, 2}}, // the config has only 0; a chat's turn ends with 2
		{"huginn/tiny-2-4-2", 504, []int32{505, 508}},
		{"retrofit-llama/tiny-2-2-1", 381, []int32{382, 383}}, // the config has Huginn's
		{"nanbeige/tiny-gqa-bf16", 379, []int32{380}},
		{"looped-llama/tiny-2x4", 1, []int32{2}},
	} {
		m, err := export.Export(t.Context(), filepath.Join(dir, filepath.FromSlash(c.path)), filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Tokens.BOS == nil || *m.Tokens.BOS != c.bos || !slices.Equal(m.Tokens.Stop, c.stop) {
			t.Errorf("%s: tokens %+v, want bos %d and stop %v", c.path, m.Tokens, c.bos, c.stop)
		}
	}
}

// changed copies a golden's checkpoint and sets one key of its config.
func changed(t *testing.T, path, key string, v any) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(path)); err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	raw, err := os.ReadFile(filepath.Join(path, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	config[key] = v
	if raw, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(to, "config.json")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

// Options that change the math and are off in what was released.
func TestOptionsThatAreRefused(t *testing.T) {
	dir := goldentest.Dir(t, "golden")
	for _, c := range []struct {
		path, key string
		v         any
	}{
		{"ouro/tiny-mha", "use_sliding_window", true},
		{"ouro/tiny-mha", "early_exit_threshold", 0},
		{"ouro/tiny-mha", "quantization_config", map[string]any{"quant_method": "gptq"}},
		{"ouro/tiny-mha", "pruned_heads", map[string]any{"1": []int{0}}},
		{"huginn/tiny-2-4-2", "tie_word_embeddings", false},
		{"ouro/tiny-mha", "early_exit_step", 2},
		{"ouro/tiny-mha", "layer_types", []string{"sliding_attention"}},
		{"ouro/tiny-mha", "tie_word_embeddings", true},
		{"ouro/tiny-mha", "some_new_option", 1},
		{"hrm-text/tiny-h2l3", "hidden_act", "gelu"},
		{"hrm-text/tiny-h2l3", "H_cycles", 0},
		{"hrm-text/tiny-h2l3", "L_cycles", 999},
		{"hrm-text/tiny-h2l3", "num_hidden_layers", 300},
		{"qwen3/tiny-qknorm-v5", "layer_types", []string{"sliding_attention", "full_attention", "full_attention", "full_attention", "full_attention"}},
		{"qwen3/tiny-qknorm-v5", "layer_types", []string{"full_attention"}},
		{"hrm-text/tiny-h2l3", "rope_scaling", map[string]any{"rope_type": "longrope", "factor": 2}},
		{"llama/tiny-gqa-llama3", "rope_interleaved", true},
		{"huginn/tiny-2-4-2", "injection_type", "add"},
		{"huginn/tiny-2-4-2", "test_time_noise", 0.1},
		{"huginn/tiny-2-4-2", "nonlin_name", "GELU"},
		{"huginn/tiny-2-4-2", "n_layers", 9},
		{"huginn/tiny-2-4-2", "head_dim", 32},
		{"retrofit-llama/tiny-2-2-1", "initial_state_mode", "embed-init"},
		{"retrofit-llama/tiny-2-2-1", "qk_bias", true},
		{"retrofit-llama/tiny-2-2-1", "rope_scaling", map[string]any{"rope_type": "linear", "factor": 2}},
		{"retrofit-olmo/tiny-2-2-2", "initial_state_mode", "skip-adapter"},
		{"nanbeige/tiny-gqa-bf16", "loop_loss_weights", []float64{0.5}},
		{"nanbeige/tiny-gqa-bf16", "qk_layernorm", true},
		{"nanbeige/tiny-gqa-bf16", "loop_share_kv", true},
		{"nanbeige/tiny-gqa-bf16", "enable_mhc", true},
		{"nanbeige/tiny-gqa-bf16", "enable_depth_attention", true},
		{"nanbeige/tiny-gqa-bf16", "emb_neighbor_num", 2},
		{"dory/tiny-1-3-1-bf16", "ngpt_enable_final_norm", true},
		{"dory/tiny-1-3-1-bf16", "output_transform", "add"},
		{"dory/tiny-1-3-1-bf16", "input_transform", "none"},
		{"dory/tiny-1-3-1-bf16", "no_rope_layers", []int{0, 0, 0, 0, 0, 0, 1, 0, 0, 0}},
		{"dory/tiny-1-3-1-bf16", "partial_rotary_factor_2", 0.5},
		{"dory/tiny-1-3-1-bf16", "attention_output_gate_logit_scale_init", 3},
		{"dory/tiny-1-3-1-bf16", "recurrent_kv_cache_mode", "first_loop"},
		{"dory/tiny-1-3-1-bf16", "swa_window_size", 8},
		{"dory/tiny-1-3-1-bf16", "init_method_std", 0.02},
		{"dory/tiny-1-3-1-bf16", "hybrid_layer_pattern", "S-S-*-S-S-"},
		{"dory/tiny-1-3-1-bf16", "rope_theta_2", 5000},
		{"dory/tiny-1-3-1-bf16", "rope_profile_layers", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"dory/tiny-1-3-1-bf16", "n_output_layers", 3},
		{"loopformer/tiny-2x8", "tie_word_embeddings", false},
		{"loopformer/tiny-2x8", "n_head", 5},
		{"parcae/tiny-2-2-2", "injection_type", "linear"},
		{"parcae/tiny-2-2-2", "logit_softcap", 30},
		{"parcae/tiny-2-2-2", "qk_norm", false},
		{"parcae/tiny-2-2-2", "rope_settings", map[string]any{"use_rope": true, "rope_condense_ratio": 2, "rope_base": 50000}},
		{"parcae/tiny-2-2-2", "recurrent_embedding_dimension", 48},
		{"parcae/tiny-2-2-2", "num_key_value_heads", 2},
		{"parcae/tiny-2-2-2", "recurrent_num_attention_heads", 2},
	} {
		from := changed(t, filepath.Join(dir, filepath.FromSlash(c.path)), c.key, c.v)
		_, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
		if err == nil {
			t.Errorf("%s with %s %v was exported", c.path, c.key, c.v)
			continue
		}
		mentions(t, err, c.key)
	}
}

// Llama tied and not: one copy of the embedding in the data file where both are stored alike, two where the head is packed.
func TestTiedWeightsAreStoredOnce(t *testing.T) {
	size := func(tied, unfused bool, weights string) int64 {
		s := random.LoopedLlama{Hidden: 64, Heads: 1, FFN: 32, Vocab: 1024, Loop: 1, Tied: tied}
		from, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
		if err := s.Write(from, 1); err != nil {
			t.Fatal(err)
		}
		m, err := export.Export(context.Background(), from, out, export.Options{Weights: weights, Unfused: unfused, Exporter: "test"})
		if err != nil {
			t.Fatal(err)
		}
		return m.Files["weights.data"].Size
	}
	if untied, tied := size(false, true, "f32"), size(true, true, "f32"); untied-tied < 1024*64*4 {
		t.Errorf("weights.data has %d bytes tied and %d untied: the embedding has %d", tied, untied, 1024*64*4)
	}
	for _, weights := range []string{"f32", "int4"} {
		if untied, tied := size(false, false, weights), size(true, false, weights); untied != tied {
			t.Errorf("a packed %s head has its own bytes, tied (%d) or not (%d)", weights, tied, untied)
		}
	}
}

// What Parcae publishes is a pytorch_model.bin: it gives the same bundle as the safetensors file.
func TestPyTorchFileGivesTheSameWeights(t *testing.T) {
	from := filepath.Join(goldentest.Dir(t, "golden"), "parcae", "tiny-2-2-2")
	alone := changed(t, from, "name", "parcae-tiny")
	if err := os.Remove(filepath.Join(alone, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	var hashes [2]string
	for i, dir := range []string{from, alone} {
		m, err := export.Export(t.Context(), dir, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
		if err != nil {
			t.Fatal(err)
		}
		hashes[i] = m.Files["weights.data"].SHA256
	}
	if hashes[0] != hashes[1] {
		t.Errorf("weights.data is %s from safetensors and %s from pytorch_model.bin", hashes[0], hashes[1])
	}
}
