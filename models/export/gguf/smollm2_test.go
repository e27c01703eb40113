package gguf_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/models/export/gguf"
	"github.com/loopserve/loopserve/tokenizer"
)

// figures decodes a file of the real model's figures.
func figures(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(goldentest.Dir(t, "golden/smollm2"), name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
}

func smollm2(t *testing.T) *gguf.Model {
	t.Helper()
	m, err := gguf.Open(goldentest.SmolLM2(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Weights.Close() })
	return m
}

// The real file's tensors, under transformers' names and in its order of rows, have the bits that transformers gives them.
func TestGoldenSmolLM2Tensors(t *testing.T) {
	m := smollm2(t)
	var file struct {
		Tensors []struct {
			Name string `json:"hf_name"`
			Sum  string `json:"hf_f32_sha256"`
		} `json:"tensors"`
	}
	figures(t, "gguf.json", &file)
	if len(file.Tensors) < 5 {
		t.Fatalf("%d tensors", len(file.Tensors))
	}
	for _, want := range file.Tensors {
		tensor := m.Weights.Tensor(want.Name)
		if tensor == nil {
			t.Errorf("no %s", want.Name)
			continue
		}
		values, err := tensor.Floats()
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		raw := make([]byte, 0, 1<<16)
		for part := range slices.Chunk(values, 1<<14) {
			raw = raw[:0]
			for _, v := range part {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			}
			h.Write(raw)
		}
		if sum := hex.EncodeToString(h.Sum(nil)); sum != want.Sum {
			t.Errorf("%s: other numbers than transformers'", want.Name)
		}
	}
	var about struct {
		Folder struct {
			Config map[string]any `json:"config"`
		} `json:"hf_folder"`
	}
	figures(t, "smollm2.json", &about)
	raw, err := json.Marshal(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for key, v := range got {
		if want, ok := about.Folder.Config[key]; ok && want != v && key != "rope_theta" {
			t.Errorf("%s is %v, transformers has %v", key, v, want)
		}
	}
	if got["rope_theta"] != 100000.0 {
		t.Errorf("rope_theta is %v", got["rope_theta"])
	}
}

// tokenizerOf is the tokenizer that a file describes, as a server opens it.
func tokenizerOf(t *testing.T, m *gguf.Model) tokenizer.Tokenizer {
	t.Helper()
	files, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	raw := map[string][]byte{}
	for name, v := range files {
		if raw[name], err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := tokenizer.Parse(raw["tokenizer.json"], raw["tokenizer_config.json"])
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// The real file's tokenizer gives the ids of Hugging Face's with its pre-tokenizer of digits, which are llama.cpp's: short strings,
// and the reference text.
func TestGoldenSmolLM2Tokenizer(t *testing.T) {
	tok := tokenizerOf(t, smollm2(t))
	var cases struct {
		Rows []struct {
			Text   string  `json:"text"`
			HF     []int32 `json:"hf"`
			Digits []int32 `json:"with_digits_split"`
		} `json:"rows"`
	}
	figures(t, "tokenizer_cases.json", &cases)
	var quality struct {
		IDs []int32 `json:"ids"`
	}
	figures(t, "quality.json", &quality)
	text, err := os.ReadFile(filepath.Join(goldentest.Dir(t, "golden/smollm2"), "smollm2_text.txt"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string, want []int32) {
		if got, err := tok.Encode(text, true); err != nil || !slices.Equal(got, want) {
			t.Errorf("%.60q: %v %v, want %v", text, got, err, want)
		}
	}
	for _, c := range cases.Rows {
		if c.Digits == nil {
			c.Digits = c.HF
		}
		check(c.Text, c.Digits)
	}
	check(string(text), quality.IDs)
	if tok.Config().EOS != "<|im_end|>" || tok.Config().BOS != "<|im_start|>" || len(tok.Config().ChatTemplate) < 100 || len(cases.Rows) < 40 {
		t.Errorf("%d cases, config %+v", len(cases.Rows), tok.Config())
	}
}
