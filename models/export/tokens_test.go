package export_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/models/export"
)

// No file is believed alone about where an answer ends.
func TestStopTokensOfAllFiles(t *testing.T) {
	type files map[string]any
	const generation, tokenizer, names = "generation_config.json", "tokenizer_config.json", "special_tokens_map.json"
	for _, c := range []struct {
		name, path string
		config     map[string]any
		files      files
		stop       []int32
	}{
		{"a list in generation_config.json", "nanbeige/tiny-gqa-bf16", nil, files{generation: map[string]any{"eos_token_id": []int{380, 232}}}, []int32{380, 232}},
		{"null in config.json", "nanbeige/tiny-gqa-bf16", map[string]any{"eos_token_id": nil}, files{generation: map[string]any{"eos_token_id": 232}}, []int32{232, 380}},
		{"the tokenizer's alone", "ouro/tiny-mha", map[string]any{"eos_token_id": nil}, files{generation: "{}", tokenizer: map[string]any{"eos_token": "<think>"}}, []int32{3, 0, 2}},
		{"special_tokens_map.json", "ouro/tiny-mha", map[string]any{"eos_token_id": nil}, files{
			generation: "{}", tokenizer: "{}", names: map[string]any{"eos_token": map[string]any{"content": "<think>"}},
		}, []int32{3, 2}},
		{"a template in a file", "ouro/tiny-mha", map[string]any{"eos_token_id": -1}, files{
			generation: "{}", tokenizer: map[string]any{"chat_template": "{{ 1 }}"}, names: "{}", "chat_template.jinja": "{{ m.content }}<|im_end|>",
		}, []int32{2}},
		{"a template without that mark", "ouro/tiny-mha", map[string]any{"eos_token_id": nil}, files{generation: "{}", tokenizer: map[string]any{"chat_template": "{{ 1 }}"}, names: "{}"}, []int32{}},
		{"an id beyond the vocabulary", "nanbeige/tiny-gqa-bf16", nil, files{generation: map[string]any{"eos_token_id": []int{380, 128001}}}, []int32{380}},
		{"another model's ids", "retrofit-llama/tiny-2-2-1", map[string]any{"eos_token_id": []int{301, 381}}, nil, []int32{381, 382, 383}},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := edited(t, c.path, c.config)
			for name, content := range c.files {
				put(t, from, name, content)
			}
			m := manifestOf(t, from, export.Options{})
			if !slices.Equal(m.Tokens.Stop, c.stop) {
				t.Errorf("stop is %v, want %v", m.Tokens.Stop, c.stop)
			}
			if warned := len(m.Warnings()) > 0; warned != (len(c.stop) == 0) {
				t.Errorf("warnings: %q", m.Warnings())
			}
		})
	}
}

// A bundle has what a checkpoint says of text, also from its folder of templates.
func TestCompanions(t *testing.T) {
	from, out := edited(t, "ouro/tiny-mha", nil), filepath.Join(t.TempDir(), "out")
	put(t, from, "chat_template.jinja", "one")
	put(t, from, "additional_chat_templates/tool_use.jinja", "two")
	put(t, from, "added_tokens.json", "{}")
	m, err := export.Export(t.Context(), from, out, export.Options{Exporter: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"chat_template.jinja": "one", "tool_use.jinja": "two", "added_tokens.json": "{}"} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want || m.Files[name].Size == 0 {
			t.Errorf("%s is %q (%v), in the manifest %v", name, got, err, m.Files[name])
		}
	}
}
