package gguf

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/tokenizer"
)

// lines calls visit with each line of a gzipped file.
func lines(t *testing.T, path string, visit func(line []byte)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(z)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		visit(scanner.Bytes())
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
}

// metadataOf describes a tokenizer.json as llama.cpp's converter does: tokens in order with their types, merges as texts, or
// scores.
func metadataOf(t *testing.T, raw []byte, model, pre string) map[string]any {
	t.Helper()
	var file struct {
		Added []struct {
			ID      int    `json:"id"`
			Content string `json:"content"`
			Special bool   `json:"special"`
		} `json:"added_tokens"`
		Model struct {
			Vocab  map[string]int    `json:"vocab"`
			Merges []json.RawMessage `json:"merges"`
		} `json:"model"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, id := range file.Model.Vocab {
		size = max(size, id+1)
	}
	for _, a := range file.Added {
		size = max(size, a.ID+1)
	}
	list, types, scores := make([]string, size), slices.Repeat([]int64{tokenUnused}, size), make([]float64, size)
	for token, id := range file.Model.Vocab {
		list[id], types[id] = token, tokenNormal
	}
	for _, a := range file.Added {
		list[a.ID], types[a.ID] = a.Content, tokenUser
		if a.Special {
			types[a.ID] = tokenControl
		}
		if a.Content == "<unk>" {
			types[a.ID] = tokenUnknown
		}
	}
	var merges []string
	for i, m := range file.Model.Merges {
		var text string
		var pair [2]string
		if json.Unmarshal(m, &text) != nil {
			if err := json.Unmarshal(m, &pair); err != nil {
				t.Fatal(err)
			}
			text = pair[0] + " " + pair[1]
		}
		merges = append(merges, text)
		if id, ok := file.Model.Vocab[strings.Replace(text, " ", "", 1)]; ok && scores[id] == 0 {
			scores[id] = -float64(i)
		}
	}
	out := map[string]any{"tokenizer.ggml.model": model, "tokenizer.ggml.tokens": list, "tokenizer.ggml.token_type": types}
	if model == "llama" {
		out["tokenizer.ggml.scores"] = scores
	} else {
		out["tokenizer.ggml.pre"], out["tokenizer.ggml.merges"] = pre, merges
	}
	for key, contents := range map[string][]string{"bos": {"<|begin_of_text|>", "<s>", "<|endoftext|>"}, "eos": {"<|end_of_text|>", "</s>", "<|endoftext|>"}} {
		for _, content := range contents {
			if id := slices.Index(list, content); id >= 0 && types[id] == tokenControl && out["tokenizer.ggml."+key+"_token_id"] == nil {
				out["tokenizer.ggml."+key+"_token_id"] = int64(id)
			}
		}
	}
	return out
}

// A tokenizer that is described by metadata gives Hugging Face's ids on all strings of the vectors, with special tokens around them
// too, for every pre-tokenizer that is known by name. SentencePiece's merges are told from scores alone.
func TestGoldenTokenizers(t *testing.T) {
	dir := goldentest.Dir(t, "tokenizers")
	var texts []string
	lines(t, filepath.Join(dir, "strings.jsonl.gz"), func(line []byte) {
		var s struct {
			Text  string `json:"text"`
			Bytes []byte `json:"bytes_b64"`
		}
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, s.Text+string(s.Bytes))
	})
	for name, kind := range map[string][2]string{
		"gpt2": {"gpt2", "gpt-2"}, "smollm2-style": {"gpt2", "smollm"}, "llama3-style": {"gpt2", "llama-bpe"}, "qwen3": {"gpt2", "qwen2"},
		"llama2-style": {"llama", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var raw []byte
			lines(t, filepath.Join(dir, name+".tokenizer.json.gz"), func(line []byte) { raw = append(raw, line...) })
			m := &Model{header: &header{metadata: metadataOf(t, raw, kind[0], kind[1])}}
			files, err := m.Tokenizer()
			if err != nil {
				t.Fatal(err)
			}
			file, _ := json.Marshal(files["tokenizer.json"])
			config, _ := json.Marshal(files["tokenizer_config.json"])
			tok, err := tokenizer.Parse(file, config)
			if err != nil {
				t.Fatal(err)
			}
			compared, wrong := 0, 0
			lines(t, filepath.Join(dir, name+".ids.jsonl.gz"), func(line []byte) {
				var c struct {
					I       int     `json:"i"`
					IDs     []int32 `json:"ids"`
					Special *struct {
						Prefix []int32 `json:"prefix"`
						Suffix []int32 `json:"suffix"`
					} `json:"with_special"`
				}
				if err := json.Unmarshal(line, &c); err != nil {
					t.Fatal(err)
				}
				want := c.IDs
				if c.Special != nil {
					want = slices.Concat(c.Special.Prefix, c.IDs, c.Special.Suffix)
				}
				compared++
				if got, err := tok.Encode(texts[c.I], true); err != nil || !slices.Equal(got, want) {
					if wrong++; wrong < 4 {
						t.Errorf("%.80q: %v %v, want %v", texts[c.I], got, err, want)
					}
				}
			})
			if wrong > 0 || compared < 2500 {
				t.Errorf("%d of %d differ", wrong, compared)
			}
		})
	}
}
