package export_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

var tiny = random.LoopedLlama{Hidden: 32, Heads: 2, FFN: 48, Vocab: 16, Context: 32, Prelude: 1, Loop: 2, Coda: 1}

// try exports a checkpoint made of this config and these tensors, damaged by damage.
func try(t *testing.T, config map[string]any, tensors []random.Tensor, damage func(t *testing.T, dir string)) error {
	t.Helper()
	dir, parent := t.TempDir(), t.TempDir()
	if err := random.Write(dir, config, tensors, "F32", 1); err != nil {
		t.Fatal(err)
	}
	if damage != nil {
		damage(t, dir)
	}
	_, err := export.Export(context.Background(), dir, filepath.Join(parent, "out"), export.Options{Exporter: "test"})
	left, readErr := os.ReadDir(parent)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if err != nil && len(left) > 0 {
		t.Errorf("a failed export left %v", left)
	}
	return err
}

// mentions checks that an error says each of the words.
func mentions(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("exported; want an error with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q\ndoes not say %q", err, w)
		}
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		key  string
		v    any
		want string
	}{
		{"model_type", "gpt2", "unsupported model type"},
		{"model_type", 3, "model_type"},
		{"hidden_size", 0, "hidden_size is 0"},
		{"hidden_size", 1e12, "hidden_size"},
		{"hidden_size", "32", "hidden_size"},
		{"hidden_size", 2.5, "hidden_size"},
		{"hidden_size", nil, "hidden_size is missing"},
		{"intermediate_size", -1, "intermediate_size is -1"},
		{"vocab_size", 1 << 30, "vocab_size"},
		{"num_hidden_layers", 7, "num_hidden_layers is 7"},
		{"num_loop_layers", 0, "num_loop_layers is 0"},
		{"num_loops", 0, "num_loops is 0"},
		{"num_attention_heads", 0, "num_attention_heads is 0"},
		{"num_key_value_heads", 3, "num_key_value_heads 3"},
		{"head_dim", 15, "head_dim is 15"},
		{"rms_norm_eps", 0, "rms_norm_eps"},
		{"rms_norm_eps", "1e-5", "rms_norm_eps"},
		{"rms_norm_eps", nil, "rms_norm_eps is missing"},
		{"rope_theta", -1, "rope_theta"},
		{"rope_scaling", map[string]any{"rope_type": "longrope", "factor": 4}, "longrope"},
		{"rope_scaling", map[string]any{"rope_type": "llama3"}, "llama3"},
		{"hidden_act", "gelu", "hidden_act"},
		{"attention_bias", true, "attention_bias"},
		{"mlp_bias", true, "mlp_bias"},
		{"sliding_window", 128, "sliding_window"},
		{"partial_rotary_factor", 0.5, "partial_rotary_factor"},
		{"eos_token_id", "2", "eos_token_id"},
		{"eos_token_id", 16, "tokens.stop"},
		{"loopserve", map[string]any{"loops": map[string]any{"min": 3, "default": 1}}, "loopserve.loops"},
	} {
		config := tiny.Config()
		config[c.key] = c.v
		err := try(t, config, tiny.Tensors(), nil)
		mentions(t, err, c.want)
		if c.v != nil && strings.Contains(err.Error(), "is missing") {
			t.Errorf("%s is %v: error %q says that a key is missing", c.key, c.v, err)
		}
	}
}

func TestLoopsHint(t *testing.T) {
	config, dir := tiny.Config(), t.TempDir()
	config["loopserve"] = map[string]any{"loops": map[string]any{"min": 2, "default": 3, "trained": 6, "max": 12}}
	if err := random.Write(dir, config, tiny.Tensors(), "BF16", 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.Export(context.Background(), dir, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if want := (bundle.LoopRange{Min: 2, Default: 3, Trained: 6, Max: 12}); m.Loops != want {
		t.Errorf("loops %+v, want %+v", m.Loops, want)
	}
}

func TestTensorsThatAreRefused(t *testing.T) {
	without := func(name string) []random.Tensor {
		return slices.DeleteFunc(tiny.Tensors(), func(t random.Tensor) bool { return t.Name == name })
	}
	mentions(t, try(t, tiny.Config(), without("model.norm.weight"), nil), "model.norm.weight", "missing")
	mentions(t, try(t, tiny.Config(), without("model.layers.3.mlp.up_proj.weight"), nil), "model.layers.3.mlp.up_proj.weight", "missing")

	wrong := tiny.Tensors()
	i := slices.IndexFunc(wrong, func(t random.Tensor) bool { return t.Name == "model.layers.1.self_attn.o_proj.weight" })
	wrong[i].Shape = []int64{32, 31}
	mentions(t, try(t, tiny.Config(), wrong, nil), wrong[i].Name, "[32 31]", "[32 32]")

	more := tiny
	more.Coda++
	mentions(t, try(t, tiny.Config(), more.Tensors(), nil), "model.layers.4.", "nothing in the config uses")
	mentions(t, try(t, tiny.Config(), append(tiny.Tensors(), random.Tensor{Name: "model.layers.0.self_attn.q_proj.bias", Shape: []int64{32}}), nil),
		"q_proj.bias")

	tied := tiny
	tied.Tied = true
	if err := try(t, tied.Config(), tied.Tensors(), nil); err != nil {
		t.Errorf("tied embeddings: %v", err)
	}
}

// header rewrites the header of model.safetensors, whose data stay as they are.
func header(change func(h map[string]any)) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, "model.safetensors")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := binary.LittleEndian.Uint64(raw)
		h := map[string]any{}
		if err := json.Unmarshal(raw[8:8+n], &h); err != nil {
			t.Fatal(err)
		}
		change(h)
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		out := append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
		if err := os.WriteFile(path, append(out, raw[8+n:]...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	const norm = "model.norm.weight"
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   []string
	}{
		{"truncated", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 9000); err != nil {
				t.Fatal(err)
			}
		}, []string{"model.safetensors", "truncated"}},
		{"offset past the end", header(func(h map[string]any) {
			h[norm].(map[string]any)["data_offsets"] = []int64{1 << 40, 1<<40 + 128}
		}), []string{"model.safetensors", norm}},
		{"overlap", header(func(h map[string]any) {
			h[norm].(map[string]any)["data_offsets"] = []int64{0, 128}
		}), []string{"model.safetensors", norm}},
		{"a tensor of strings", header(func(h map[string]any) {
			h[norm].(map[string]any)["dtype"] = "STRING"
		}), []string{norm, "STRING"}},
		{"no config", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "config.json")); err != nil {
				t.Fatal(err)
			}
		}, []string{"config.json"}},
		{"link out of the folder", func(t *testing.T, dir string) {
			outside := filepath.Join(t.TempDir(), "elsewhere")
			path := filepath.Join(dir, "model.safetensors")
			if err := errors.Join(os.Rename(path, outside), os.Symlink(outside, path)); err != nil {
				t.Fatal(err)
			}
		}, []string{"model.safetensors"}},
		{"index pointing outside", func(t *testing.T, dir string) {
			text := `{"weight_map":{"` + norm + `":"../model.safetensors"}}`
			if err := os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"model.safetensors.index.json", norm, "../model.safetensors"}},
		{"not a number", func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, "model.safetensors"), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.WriteAt([]byte{0, 0, 0xc0, 0x7f}, info.Size()-4)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
		}, []string{"model.layers.3.mlp.down_proj.weight", "NaN"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			mentions(t, try(t, tiny.Config(), tiny.Tensors(), c.damage), c.want...)
		})
	}
}

func TestOutputIsWholeOrNotThere(t *testing.T) {
	from, parent := t.TempDir(), t.TempDir()
	if err := tiny.Write(from, 1); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(parent, "model")
	ctx, cancel := context.WithCancel(context.Background())
	_, err := export.Export(ctx, from, out, export.Options{Progress: func(export.Progress) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled export: %v", err)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("a cancelled export left %v", left)
	}
	if _, err = export.Export(context.Background(), from, out, export.Options{Exporter: "one"}); err != nil {
		t.Fatal(err)
	}
	if _, err = export.Export(context.Background(), from, out, export.Options{Exporter: "two"}); err == nil {
		t.Error("an existing bundle was replaced without force")
	}
	for _, weights := range []string{"int8", "int4"} {
		if _, err = export.Export(context.Background(), from, out, export.Options{Exporter: weights, Force: true, Weights: weights}); err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Open(out, bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if b.Manifest.Source.Exporter != weights {
			t.Errorf("with force, the bundle is still that of %s", b.Manifest.Source.Exporter)
		}
	}
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("beside the bundle stands %v", left)
	}
}
