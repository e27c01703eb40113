package jinja

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
)

func fixedNow() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

type vectorCase struct {
	Name string          `json:"name"`
	Tpl  string          `json:"tpl"`
	Ctx  json.RawMessage `json:"ctx"`
	Out  *string         `json:"out"`
	Err  string          `json:"err"`
}

func (c *vectorCase) check(t *testing.T, tmpl *Template, err error) {
	t.Helper()
	var got string
	if err == nil {
		var vars Value
		if vars, err = FromJSON(c.Ctx); err != nil {
			t.Fatal(err)
		}
		got, err = tmpl.Render(t.Context(), vars.(*Dict), Options{Now: fixedNow})
	}
	if c.Out == nil {
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%s\n got %q, %v\nwant error %s", c.Tpl, got, err, c.Err)
		}
		if mine := e.Class + ": " + e.Msg; mine != c.Err {
			t.Errorf("%s\n got error %s\nwant error %s", c.Tpl, mine, c.Err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s\n got error %v\nwant %q", c.Tpl, err, *c.Out)
	}
	if got != *c.Out {
		t.Errorf("%s\n got %q\nwant %q", c.Tpl, got, *c.Out)
	}
}

// TestVectors runs every chat-template case that Hugging Face's settings of
// Jinja rendered.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goldentest.Dir(t, "tokenizers"), "*template_cases*.jsonl.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no template cases found: %v", err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(z)
		lines.Buffer(nil, 1<<26)
		n := 0
		for lines.Scan() {
			var c vectorCase
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			n++
			t.Run(c.Name, func(t *testing.T) {
				tmpl, err := Parse(c.Tpl, Limits{})
				c.check(t, tmpl, err)
			})
		}
		if err := lines.Err(); err != nil || n == 0 {
			t.Fatalf("%s: %d cases, %v", file, n, err)
		}
		t.Logf("%s: %d cases", filepath.Base(file), n)
	}
}

// TestGoldenChats renders the templates of the golden checkpoints.
func TestGoldenChats(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goldentest.Dir(t, "golden"), "*", "*", "tokenizer_golden.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tokenizer goldens found: %v", err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		var gold struct {
			Chat []struct {
				Messages json.RawMessage
				Kwargs   map[string]any
				Text     string
				Err      string
			}
		}
		var config struct {
			ChatTemplate string `json:"chat_template"`
			BOS          any    `json:"bos_token"`
			EOS          any    `json:"eos_token"`
		}
		readJSONFile(t, file, &gold)
		readJSONFile(t, filepath.Join(dir, "tokenizer_config.json"), &config)
		if len(gold.Chat) == 0 {
			continue
		}
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			tmpl, err := Parse(config.ChatTemplate, Limits{}, Generation)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range gold.Chat {
				gen := true
				if v, ok := c.Kwargs["add_generation_prompt"].(bool); ok {
					gen = v
					delete(c.Kwargs, "add_generation_prompt")
				}
				got, err := tmpl.RenderChat(t.Context(), Chat{
					Messages: c.Messages, Kwargs: c.Kwargs, AddGenerationPrompt: gen,
					BOS: tokenText(config.BOS), EOS: tokenText(config.EOS), Now: fixedNow,
				})
				if err != nil || got != c.Text {
					t.Errorf("%s %v\n got %q, %v\nwant %q", c.Messages, c.Kwargs, got, err, c.Text)
				}
			}
		})
	}
}

func readJSONFile(t testing.TB, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func tokenText(v any) string {
	if m, ok := v.(map[string]any); ok {
		v = m["content"]
	}
	s, _ := v.(string)
	return strings.Clone(s)
}
