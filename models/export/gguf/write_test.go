package gguf_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/models/export/gguf"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// stored is a tensor of a file in the making, of type F32: rows first.
type stored struct {
	name   string
	shape  []int64
	values []float32
}

// encode is a GGUF file.
func encode(metadata map[string]any, tensors []stored) []byte {
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // to memory
	text := func(s string) { put(uint64(len(s))); b.WriteString(s) }
	b.WriteString("GGUF")
	put(uint32(3))
	put(uint64(len(tensors)))
	put(uint64(len(metadata)))
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		text(key)
		switch v := metadata[key].(type) {
		case string:
			put(uint32(8))
			text(v)
		case bool:
			put(uint32(7))
			put(v)
		case float64:
			put(uint32(6))
			put(float32(v))
		case int64:
			put(uint32(4))
			put(uint32(v))
		case []string:
			put([]uint32{9, 8})
			put(uint64(len(v)))
			for _, s := range v {
				text(s)
			}
		case []int64:
			put([]uint32{9, 5})
			put(uint64(len(v)))
			for _, i := range v {
				put(int32(i))
			}
		}
	}
	at := uint64(0)
	for _, t := range tensors {
		text(t.name)
		put(uint32(len(t.shape)))
		for _, d := range slices.Backward(t.shape) {
			put(uint64(d))
		}
		put(uint32(0))
		put(at)
		at += uint64(4*len(t.values)+31) / 32 * 32
	}
	for _, t := range tensors {
		b.Write(make([]byte, (32-b.Len()%32)%32))
		put(t.values)
	}
	return b.Bytes()
}

// asGGUF is a golden checkpoint as llama.cpp's converter would have written it.
func asGGUF(t *testing.T, dir string) (metadata map[string]any, tensors []stored) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	arch, _ := config["model_type"].(string)
	metadata = map[string]any{
		"general.architecture": arch, "general.alignment": int64(32), "tokenizer.ggml.bos_token_id": int64(1), "tokenizer.ggml.eos_token_id": int64(2),
	}
	for key, name := range gguf.Keys() {
		switch v := config[name].(type) {
		case float64:
			metadata[arch+"."+key] = int64(v)
			if strings.Contains(name, "eps") || strings.Contains(name, "theta") {
				metadata[arch+"."+key] = v
			}
		case bool:
			metadata[arch+"."+key] = v
		}
	}
	delete(metadata, arch+".attention.sliding_window")
	if p, ok := config["rope_parameters"].(map[string]any); ok {
		metadata[arch+".rope.freq_base"] = p["rope_theta"]
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	c, err := safetensors.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	heads := map[string]any{"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
	for _, name := range c.Names() {
		from := c.Tensor(name)
		values, err := from.Floats()
		if err != nil {
			t.Fatal(err)
		}
		for part, n := range heads {
			if (arch == "llama" || arch == "nanbeige") && strings.Contains(name, part) {
				values = permuted(values, int(n.(float64)), int(from.Shape[0]))
			}
		}
		tensors = append(tensors, stored{gguf.NameOf(name), from.Shape, values})
	}
	return metadata, tensors
}

// permuted is llama.cpp's LlamaModel.permute: of each head, the rows of both halves take turns.
func permuted(values []float32, heads, rows int) []float32 {
	width, half := len(values)/rows, rows/heads/2
	out := make([]float32, 0, len(values))
	for head := range heads {
		for i := range half {
			for side := range 2 {
				row := head*2*half + side*half + i
				out = append(out, values[row*width:(row+1)*width]...)
			}
		}
	}
	return out
}

func write(t *testing.T, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A checkpoint of each architecture exports to the same weights from its folder and as a GGUF file.
func TestArchitectures(t *testing.T) {
	for _, path := range []string{"llama/tiny-gqa-llama3", "qwen2/tiny-tied-bf16", "qwen3/tiny-qknorm-v5", "nanbeige/tiny-gqa-bf16"} {
		t.Run(path, func(t *testing.T) {
			dir := filepath.Join(goldentest.Dir(t, "golden"), filepath.FromSlash(path))
			metadata, tensors := asGGUF(t, dir)
			opt := export.Options{Exporter: "test"}
			if strings.HasPrefix(path, "llama") {
				opt.IgnoreConfig = []string{"rope_scaling"} // which is a tensor of factors there
			}
			want, err := export.Export(t.Context(), dir, filepath.Join(t.TempDir(), "out"), opt)
			if err != nil {
				t.Fatal(err)
			}
			file := write(t, encode(metadata, tensors))
			got, err := export.Export(t.Context(), file, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
			if err != nil {
				t.Fatal(err)
			}
			if got.Files["weights.data"] != want.Files["weights.data"] || got.Loops != want.Loops || !slices.Equal(got.Tokens.Stop, []int32{2}) {
				t.Errorf("from GGUF %+v, from the folder %+v", got, want)
			}
			if !strings.HasPrefix(path, "llama") {
				return
			}
			// Factors of 1 leave RoPE as it is, others do not.
			for factor, same := range map[float32]bool{1: true, 2: false} {
				with := append(slices.Clone(tensors), stored{"rope_freqs.weight", []int64{6}, slices.Repeat([]float32{factor}, 6)})
				m, err := export.Export(t.Context(), write(t, encode(metadata, with)), filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
				if err != nil {
					t.Fatal(err)
				}
				if (m.Files["weights.data"] == want.Files["weights.data"]) != same {
					t.Errorf("factors of %v: the same weights: %v", factor, !same)
				}
			}
		})
	}
}

// A bias of query or key is ordered as the rows of its matrix are.
func TestPermutedBias(t *testing.T) {
	want := []float32{0, 1, 2, 3, 4, 5, 6, 7}
	m, err := gguf.Open(write(t, encode(map[string]any{
		"general.architecture": "llama", "llama.block_count": int64(1), "llama.attention.head_count": int64(2), "llama.embedding_length": int64(8),
	}, []stored{{"token_embd.weight", []int64{5, 8}, make([]float32, 40)}, {"blk.0.attn_q.bias", []int64{8}, permuted(want, 2, 8)}})))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Weights.Close()
	bias := m.Weights.Tensor("model.layers.0.self_attn.q_proj.bias")
	if got, err := bias.Floats(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	part := make([]float32, 3)
	if err := bias.Read(part, 4); err != nil || !slices.Equal(part, want[4:7]) {
		t.Errorf("a part of it: %v, %v", part, err)
	}
}

// What a file says that is not read, or that can't be: the error names the key or the tensor.
func TestFilesThatAreRefused(t *testing.T) {
	metadata, tensors := asGGUF(t, filepath.Join(goldentest.Dir(t, "golden"), "llama", "tiny-gqa-llama3"))
	for _, c := range []struct {
		key  string
		v    any
		want []string
	}{
		{"general.architecture", "gpt2", []string{"general.architecture", "gpt2", "qwen3"}},
		{"llama.expert_count", int64(8), []string{"llama.expert_count", "8", "--ignore-config"}},
		{"llama.attention.sliding_window", int64(128), []string{"sliding_window", "128"}},
		{"llama.rope.dimension_count", int64(4), []string{"llama.rope.dimension_count", "4"}},
		{"llama.rope.scaling.type", "longrope", []string{"longrope"}},
		{"llama.block_count", "many", []string{"num_hidden_layers", "many"}},
		{"llama.attention.head_count", int64(5), []string{"attn_q.weight", "5 heads"}},
		{"split.count", int64(3), []string{"split.count", "--merge"}},
		{"tokenizer.ggml.model", "gpt2", []string{"tokenizer.ggml.tokens"}},
		{"tokenizer.ggml.tokens", []string{"a", strings.Repeat("b", 1<<15)}, []string{"tokenizer.ggml.tokens", "token 1", "32768 bytes"}},
	} {
		changed := maps.Clone(metadata)
		changed[c.key] = c.v
		opt := export.Options{Exporter: "test"}
		if strings.HasPrefix(c.key, "tokenizer") {
			opt.Check = noCheck
		}
		_, err := export.Export(t.Context(), write(t, encode(changed, tensors)), filepath.Join(t.TempDir(), "out"), opt)
		mentions(t, c.key, err, c.want...)
	}
	for name, pre := range map[string][]string{"tekken": {"tokenizer.ggml.pre", "tekken", "--tokenizer"}, "default": {"default", "--tokenizer"}} {
		changed := maps.Clone(metadata)
		changed["tokenizer.ggml.model"], changed["tokenizer.ggml.pre"], changed["tokenizer.ggml.tokens"] = "gpt2", name, []string{"a"}
		_, err := export.Export(t.Context(), write(t, encode(changed, tensors)), filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test", Check: noCheck})
		mentions(t, name, err, pre...)
		with := filepath.Join(goldentest.Dir(t, "golden"), "ouro", "tiny-mha")
		if _, err = export.Export(t.Context(), write(t, encode(changed, tensors)), filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test", Check: noCheck, Tokenizer: with}); err != nil {
			t.Errorf("with a tokenizer: %v", err)
		}
	}
	whole := encode(metadata, tensors)
	for cut := range len(whole) / 9973 {
		if _, err := gguf.Open(write(t, whole[:cut*9973])); !errors.Is(err, gguf.ErrFormat) {
			t.Fatalf("the first %d bytes: %v", cut*9973, err)
		}
	}
	wide := append(slices.Clone(tensors), stored{"rope_freqs.weight", []int64{257}, make([]float32, 257)})
	_, err := gguf.Open(write(t, encode(metadata, wide)))
	mentions(t, "too many factors", err, "rope_freqs.weight", "257")
	twice := append(slices.Clone(tensors), tensors[0])
	_, err = gguf.Open(write(t, encode(metadata, twice)))
	mentions(t, "a tensor twice", err, tensors[0].name, "twice")
	bad := slices.Clone(tensors)
	bad[0].values = []float32{float32(math.NaN())}
	bad[0].values = append(bad[0].values, tensors[0].values[1:]...)
	_, err = export.Export(t.Context(), write(t, encode(metadata, bad)), filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
	mentions(t, "NaN", err, "NaN")
}

func noCheck(fs.FS) error { return nil }

func mentions(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %q does not say %q", what, err, w)
		}
	}
}

// No file makes the reader panic, hang or take memory that the file does not have.
func FuzzOpen(f *testing.F) {
	f.Add(encode(map[string]any{
		"general.architecture": "llama", "llama.block_count": int64(1), "llama.attention.head_count": int64(2), "llama.embedding_length": int64(8),
		"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": []string{"<unk>", "<s>", "a", "b", "ab"}, "tokenizer.ggml.token_type": []int64{2, 3, 1, 1, 1},
	}, []stored{{"token_embd.weight", []int64{5, 8}, make([]float32, 40)}, {"blk.0.attn_q.weight", []int64{8, 8}, make([]float32, 64)}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := gguf.Open(write(t, raw))
		if err != nil {
			return
		}
		defer m.Weights.Close()
		_, _ = m.Tokenizer()
		for _, name := range m.Weights.Names() {
			if tensor := m.Weights.Tensor(name); tensor.Len() < 1<<16 {
				if _, err := tensor.Floats(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}
