package export_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// edited copies a golden's checkpoint with these keys in its config; one that is "-" is taken out.
func edited(t *testing.T, path string, keys map[string]any) string {
	t.Helper()
	from := filepath.Join(goldentest.Dir(t, "golden"), filepath.FromSlash(path))
	to := changed(t, from, "model_name", "edited")
	file := filepath.Join(to, "config.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	maps.Copy(config, keys)
	maps.DeleteFunc(config, func(_ string, v any) bool { return v == "-" })
	put(t, to, "config.json", config)
	return to
}

// put writes a file of a checkpoint: a string as it is, anything else as JSON.
func put(t *testing.T, dir, name string, v any) {
	t.Helper()
	raw, isText := v.(string)
	if !isText {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		raw = string(b)
	}
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(file) // what was copied may be read only
	if err := os.WriteFile(file, []byte(raw), 0o644); err != nil {
		t.Fatal(err)
	}
}

func manifestOf(t *testing.T, from string, opt export.Options) *bundle.Manifest {
	t.Helper()
	opt.Exporter = "test"
	m, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), opt)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What transformers 4 and 5 and training tools write beside the keys that count: the weights, RoPE tables included, are those of
// the checkpoint without it.
func TestConfigsOfOtherWriters(t *testing.T) {
	retrofitScaling := map[string]any{
		"factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 128, "rope_type": "llama3",
	}
	withTheta := maps.Clone(retrofitScaling)
	withTheta["rope_theta"] = 500000
	plain := map[string]string{}
	for _, c := range []struct {
		name, path string
		keys       map[string]any
	}{
		{"ouro by 5.24", "ouro/tiny-mha", map[string]any{
			"torch_dtype": "-", "dtype": "float32", "rope_scaling": "-", "rope_parameters": map[string]any{"rope_theta": 1000000.0, "rope_type": "default"},
			"transformers_version": "5.24.0",
		}},
		{"θ in the block alone", "ouro/tiny-mha", map[string]any{"rope_theta": "-", "rope_parameters": map[string]any{"rope_theta": 1000000}}},
		{"equal blocks", "retrofit-llama/tiny-2-2-1", map[string]any{"rope_scaling": retrofitScaling, "rope_parameters": withTheta}},
		{"both dtypes", "ouro/tiny-mha", map[string]any{"dtype": "bfloat16"}},
		{"huginn by 5.24", "huginn/tiny-2-4-2", map[string]any{"tie_word_embeddings": true, "num_attention_heads": "-", "torch_dtype": "-", "dtype": "float32"}},
		{"huginn under other names", "huginn/tiny-2-4-2", map[string]any{"hidden_size": 96, "num_hidden_layers": 8}},
		{"unsloth", "ouro/tiny-mha", map[string]any{"unsloth_version": "2026.9.1", "unsloth_fixed": true, "unk_token_id": 3}},
		{"null is absent", "nanbeige/tiny-gqa-bf16", map[string]any{
			"quantization_config": nil, "a_new_switch": nil, "rope_scaling": map[string]any{"rope_type": "default", "factor": nil, "attention_factor": nil},
		}},
		{"a window that is off", "ouro/tiny-mha", map[string]any{"sliding_window": 4096, "use_sliding_window": false}},
		{"a window that is off by default", "ouro/tiny-mha", map[string]any{"sliding_window": 4096, "use_sliding_window": "-"}},
		{"a window that is off elsewhere", "looped-llama/tiny-2x4", map[string]any{
			"sliding_window": 4096, "use_sliding_window": false, "max_window_layers": 28, "layer_types": []string{"full_attention", "full_attention"},
		}},
		{"transformers 4.46's own keys", "ouro/tiny-mha", map[string]any{
			"_attn_implementation_autoset": true, "is_decoder": true, "id2label": map[string]any{"0": "a"}, "output_router_logits": false,
			"problem_type": nil, "chunk_size_feed_forward": 0, "pruned_heads": map[string]any{}, "is_encoder_decoder": false,
			"label2id": map[string]any{"a": 0}, "tie_encoder_decoder": false, "torchscript": false, "use_bfloat16": false,
			"add_cross_attention": false, "attn_implementation": "sdpa", "partial_rotary_factor": 1.0,
		}},
		{"loopformer in GPT-2's names", "loopformer/tiny-2x8", map[string]any{"block_size": "-", "n_positions": 128, "max_position_embeddings": 64, "n_inner": 64, "hidden_size": 64}},
		{"loopformer in Llama's names", "loopformer/tiny-2x8", map[string]any{
			"n_layer": "-", "num_hidden_layers": 2, "n_head": "-", "num_attention_heads": 4, "n_embd": nil, "hidden_size": 48,
			"intermediate_dim": "-", "n_inner": 96, "block_size": "-", "max_position_embeddings": 128,
		}},
		{"SmolLM2's", "llama/tiny-gqa-llama3", map[string]any{"is_llama_config": true, "rope_interleaved": false}},
		{"Qwen2.5's", "qwen2/tiny-tied-bf16", map[string]any{"use_mrope": false}},
		{"parcae without its class", "parcae/tiny-2-2-2", map[string]any{"_class_name": "-"}},
		{"huginn without init_values", "huginn/tiny-2-4-2", map[string]any{"init_values": "-"}},
		{"parcae's training", "parcae/tiny-2-2-2", map[string]any{
			"init_strategy":              "scaled",
			"recurrent_iteration_method": "per-batch", "lockstep_n": true, "debias_attention": true, "recurrent_num_attention_heads": 4,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if plain[c.path] == "" {
				plain[c.path] = manifestOf(t, filepath.Join(goldentest.Dir(t, "golden"), c.path), export.Options{}).Files["weights.data"].SHA256
			}
			if m := manifestOf(t, edited(t, c.path, c.keys), export.Options{}); m.Files["weights.data"].SHA256 != plain[c.path] {
				t.Error("other weights than without these keys")
			}
		})
	}
}

func TestConfigsThatContradictThemselves(t *testing.T) {
	theta := map[string]any{"rope_type": "default", "rope_theta": 5000}
	for _, c := range []struct {
		path string
		keys map[string]any
		want []string
	}{
		{"huginn/tiny-2-4-2", map[string]any{"tie_word_embeddings": false}, []string{"tie_word_embeddings is false", "tie_embeddings is true"}},
		{"ouro/tiny-mha", map[string]any{"rope_parameters": theta}, []string{"rope_theta is 5000", "1e+06"}},
		{"ouro/tiny-mha", map[string]any{
			"rope_scaling": map[string]any{"rope_type": "llama3", "factor": 4, "low_freq_factor": 1, "high_freq_factor": 4}, "rope_theta": "-", "rope_parameters": theta,
		}, []string{"rope_parameters", "rope_scaling"}},
		{"ouro/tiny-mha", map[string]any{"max_position_embeddings": 1 << 24, "head_dim": 512}, []string{"16777216 positions", "RoPE's tables"}},
		{"ouro/tiny-mha", map[string]any{"tie_word_embeddings": true}, []string{"tie_word_embeddings", "lm_head.weight has other numbers"}},
	} {
		_, err := export.Export(t.Context(), edited(t, c.path, c.keys), filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
		mentions(t, err, c.want...)
	}
}

// What wraps a LoopFormer prefixes its tensors' names, each on its own: they are stripped, in any order.
func TestLoopFormerNames(t *testing.T) {
	const path = "loopformer/tiny-2x8"
	plain := manifestOf(t, edited(t, path, nil), export.Options{}).Files["weights.data"].SHA256
	named := func(name func(string) string) string {
		from := edited(t, path, nil)
		header(func(h map[string]any) {
			for _, key := range slices.Collect(maps.Keys(h)) {
				if key != "__metadata__" {
					v := h[key]
					delete(h, key)
					h[name(key)] = v
				}
			}
		})(t, from)
		return from
	}
	for _, prefix := range []string{"gpt.", "model.", "module.model.", "model.module.gpt.", "gpt.gpt.", "_orig_mod.module."} {
		for _, only := range []string{"", "transformer."} {
			from := named(func(key string) string {
				if strings.HasPrefix(key, only) {
					return prefix + key
				}
				return key
			})
			if m := manifestOf(t, from, export.Options{}); m.Files["weights.data"].SHA256 != plain {
				t.Errorf("%q before %q: other weights", prefix, only)
			}
		}
	}
	from := named(func(key string) string {
		return strings.Replace(key, "dt_embedder.mlp.2.bias", "gpt.dt_embedder.mlp.0.bias", 1)
	})
	_, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
	mentions(t, err, `"gpt.dt_embedder.mlp.0.bias"`, "keep one")
}

// Windows: one that is wider than the context is none; a Dory without a sliding layer needs none; Mistral's is one for all layers.
func TestWindows(t *testing.T) {
	s := Size{Hidden: 32, Heads: 4, KVHeads: 2, HeadDim: 8, FFN: 32, Vocab: 40, Context: 64, Prelude: 1, Loop: 2, Coda: 1, Loops: 2, Theta: 1000}
	all := func(kind string) []string { return []string{kind, kind} }
	for _, c := range []struct {
		name string
		of   *Checkpoint
		keys map[string]any
		want []string // of the error; nil: none
	}{
		{"huge", s.Plain("mistral"), map[string]any{"sliding_window": 1<<31 - 1}, nil},
		{"zero", s.Plain("mistral"), map[string]any{"sliding_window": 0}, []string{"sliding_window is 0"}},
		{"negative", s.Plain("qwen2"), map[string]any{"sliding_window": -1}, []string{"sliding_window is -1"}},
		{"zero and off", s.Plain("qwen2"), map[string]any{"sliding_window": 0, "use_sliding_window": false}, nil},
		{"full beside one", s.Plain("mistral"), map[string]any{"layer_types": all("full_attention")}, []string{"layer_types[0]", "sliding_window is 5", "leave layer_types out"}},
		{"sliding without one", s.Plain("mistral"), map[string]any{"layer_types": all("sliding_attention"), "sliding_window": nil}, []string{"layer_types[0]"}},
		{"sliding", s.Plain("mistral"), map[string]any{"layer_types": all("sliding_attention")}, nil},
		{"full", s.Plain("mistral"), map[string]any{"layer_types": all("full_attention"), "sliding_window": nil}, nil},
		{"huge Dory", s.Dory(), map[string]any{"swa_window_size": 1 << 30}, nil},
		{"Dory without", s.Dory(), map[string]any{"swa_window_size": nil}, []string{"sliding_window is missing"}},
		{"full Dory", s.Dory(), map[string]any{"swa_window_size": nil, "hybrid_layer_pattern": "*-*-*-*-", "rope_profile_layers": slices.Repeat([]int{2}, 8)}, nil},
	} {
		maps.Copy(c.of.Config, c.keys)
		switch err := try(t, c.of.Config, c.of.Tensors, nil); {
		case c.want != nil:
			mentions(t, err, c.want...)
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A key that is refused names the flag that lets it through, and the flag does.
func TestIgnoreConfig(t *testing.T) {
	from := edited(t, "ouro/tiny-mha", map[string]any{"a_new_switch": "blue", "early_exit_step": 2})
	_, err := export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
	mentions(t, err, "a_new_switch", `"blue"`, "--ignore-config a_new_switch", "early_exit_step")
	manifestOf(t, from, export.Options{IgnoreConfig: []string{"a_new_switch", "early_exit_step"}})
	_, err = export.Export(t.Context(), from, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test", IgnoreConfig: []string{"a_nwe_switch"}})
	mentions(t, err, "a_nwe_switch")
}

// A threshold below one is the model's own adaptive depth; one is all loops.
func TestExitThresholdIsAuto(t *testing.T) {
	if m := manifestOf(t, edited(t, "ouro/tiny-mha", nil), export.Options{}); m.Auto != nil {
		t.Errorf("auto is %+v at a threshold of 1", *m.Auto)
	}
	m := manifestOf(t, edited(t, "ouro/tiny-mha", map[string]any{"early_exit_threshold": 0.4}), export.Options{})
	if want := (bundle.Auto{ExitPolicy: "gate", ExitThreshold: 0.4, Loops: 4}); m.Auto == nil || *m.Auto != want {
		t.Errorf("auto is %+v, want %+v", m.Auto, want)
	}
}

// A tied head that is stored too is the embedding, or it is refused. Huginn's checkpoints store both.
func TestTiedHeadThatIsStored(t *testing.T) {
	size := func(tied bool) int64 {
		return manifestOf(t, edited(t, "huginn/tiny-2-4-2", map[string]any{"tie_embeddings": tied}), export.Options{Unfused: true}).Files["weights.data"].Size
	}
	if own, one := size(false), size(true); own-one < 512*96*4 {
		t.Errorf("weights.data has %d bytes tied and %d untied", one, own)
	}
	ouro := everyFamily()["ouro"]
	ouro.Config["tie_word_embeddings"] = true
	alone := slices.DeleteFunc(ouro.Tensors, func(t random.Tensor) bool { return t.Name == "lm_head.weight" })
	if err := try(t, ouro.Config, alone, nil); err != nil {
		t.Errorf("a tied Ouro: %v", err)
	}
	tied := tiny
	tied.Tied = true
	other := random.Tensor{Name: "lm_head.weight", Kind: random.Matrix, Shape: []int64{16, 32}}
	mentions(t, try(t, tied.Config(), append(tied.Tensors(), other), nil), "lm_head.weight has other numbers than model.embed_tokens.weight")
}

// docs/export.md lists every inert key.
func TestInertKeysAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/export.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range export.InertKeys() {
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/export.md lacks the row\n%s", row)
		}
	}
}

// Whatever config.json says, a folder without weights is no bundle, and what is wrong is an error.
func FuzzConfig(f *testing.F) {
	for _, kind := range []string{"looped_llama", "ouro", "huginn_raven", "llama", "qwen3", "nanbeige", "parcae"} {
		f.Add([]byte(`{"model_type":"` + kind + `","hidden_size":8,"num_attention_heads":2,"num_hidden_layers":2,"vocab_size":9,"rope_scaling":{"type":"yarn","factor":2}}`))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "out")
		if _, err := export.Export(t.Context(), dir, out, export.Options{}); err == nil {
			t.Errorf("%s became a bundle", config)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s left something", config)
		}
	})
}
