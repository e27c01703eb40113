package tokenizer_test

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/loopserve/loopserve/tokenizer"
)

// opened loads the tiny tokenizer with these files beside it, name and content in turn.
func opened(t *testing.T, more string, files ...string) tokenizer.Tokenizer {
	t.Helper()
	dir := fstest.MapFS{"tokenizer.json": {Data: []byte("{" + tinyModel + more + "}")}}
	for i := 0; i < len(files); i += 2 {
		dir[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	tok, err := tokenizer.Open(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// What AutoTokenizer of transformers 4.57.6 and 5.24.0 makes of the files that may name tokens.
func TestFilesThatNameTokens(t *testing.T) {
	const (
		config = "tokenizer_config.json"
		names  = "special_tokens_map.json"
		added  = "added_tokens.json"
		plain  = `"tokenizer_class":"PreTrainedTokenizerFast","bos_token":"<s>","eos_token":"</s>","unk_token":"?"`
	)
	for _, c := range []struct {
		name    string
		files   []string
		ids     []int32
		special []int32
		eos     string
	}{
		{"none", []string{config, "{" + plain + "}"}, []int32{2, 3, 3, 1, 3}, []int32{0, 1, 3}, "</s>"},
		{"added_tokens.json", []string{config, "{" + plain + "}", added, `{"<y>":5,"<n>":4}`}, []int32{2, 4, 3, 1, 3, 5, 3}, []int32{0, 1, 3}, "</s>"},
		{
			"special_tokens_map.json",
			[]string{config, "{" + plain + "}", names, `{"eos_token":"<x>","additional_special_tokens":["<y>"]}`},
			[]int32{2, 3, 3, 1, 4, 5, 3},
			[]int32{0, 1, 3, 4, 5},
			"<x>", // what tokenizer.json calls special stays so
		},
		{"an object in it", []string{config, "{" + plain + "}", names, `{"eos_token":{"content":"<x>"}}`}, []int32{2, 3, 3, 1, 4, 3}, []int32{0, 1, 3, 4}, "<x>"},
		{
			"both",
			[]string{config, "{" + plain + "}", names, `{"additional_special_tokens":["<y>"]}`, added, `{"<x>":5,"<y>":4}`},
			[]int32{2, 3, 3, 1, 5, 4, 3},
			[]int32{0, 1, 3, 4},
			"</s>",
		},
		{
			"beside added_tokens_decoder",
			[]string{config, "{" + plain + `,"added_tokens_decoder":{"4":{"content":"<n>","normalized":true}}}`, names, `{"eos_token":"<x>"}`, added, `{"<y>":5}`},
			[]int32{2, 4, 3, 1, 3},
			[]int32{0, 1, 3},
			"</s>",
		},
		{"extra tokens with names", []string{config, "{" + plain + `,"extra_special_tokens":{"image_token":"<img>"}}`}, []int32{2, 3, 3, 1, 3, 4, 2}, []int32{0, 1, 3, 4}, "</s>"},
		{"a list of extra tokens", []string{config, "{" + plain + `,"extra_special_tokens":["<img>","<x>"]}`}, []int32{2, 3, 3, 1, 5, 3, 4, 2}, []int32{0, 1, 3, 4, 5}, "</s>"},
		{"no configuration", []string{names, `{"eos_token":"</s>","bos_token":"<s>","unk_token":"?"}`}, []int32{2, 3, 3, 1, 3}, []int32{0, 1, 3}, "</s>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := opened(t, "", c.files...)
			if ids, err := tok.Encode("a <n> b</s><x><y><img>a", true); err != nil || !slices.Equal(ids, c.ids) {
				t.Errorf("ids %v (%v), want %v", ids, err, c.ids)
			}
			var special []int32
			for id := range int32(8) {
				if tok.IsSpecial(id) {
					special = append(special, id)
				}
			}
			if !slices.Equal(special, c.special) || tok.Config().EOS != c.eos {
				t.Errorf("special %v and eos %q, want %v and %q", special, tok.Config().EOS, c.special, c.eos)
			}
		})
	}
}

// What add_bos_token and add_eos_token do is the class's to say: each class with them absent, true and false, by AutoTokenizer of
// transformers 4.57.6. A letter is a token around the text, B before it, E behind it.
func TestTokensAroundATextByClass(t *testing.T) {
	processors := map[string]string{
		"none": "",
		"B": `,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],
			"special_tokens":{"<s>":{"ids":[0]}}}`,
		"BE": `,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"</s>"}}],
			"special_tokens":{"<s>":{"ids":[0]},"</s>":{"ids":[1]}}}`,
	}
	flags := []string{"", "true", "false"}
	rows := map[string]map[string][]string{} // class → post-processor → (bos, eos) of flags
	same := func(row ...string) map[string][]string { return map[string][]string{"none": row, "B": row, "BE": row} }
	always := func(s string) []string { return slices.Repeat([]string{s}, 9) }
	for _, class := range []string{"LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizerFast", "GemmaTokenizerFast", "CohereTokenizerFast"} {
		rows[class] = same("B", "BE", "B", "B", "BE", "B", "", "E", "")
	}
	rows["GPTNeoXTokenizerFast"] = same("", "E", "", "B", "BE", "B", "", "E", "")
	for _, class := range []string{"PreTrainedTokenizerFast", "GPT2Tokenizer", "GPT2TokenizerFast", "Qwen2Tokenizer", "Qwen2TokenizerFast"} {
		rows[class] = map[string][]string{"none": always(""), "B": always("B"), "BE": always("BE")}
	}
	for class, byProcessor := range rows {
		for processor, want := range byProcessor {
			for i, w := range want {
				config := `{"bos_token":"<s>","eos_token":"</s>","tokenizer_class":"` + class + `"`
				if bos := flags[i/3]; bos != "" {
					config += `,"add_bos_token":` + bos
				}
				if eos := flags[i%3]; eos != "" {
					config += `,"add_eos_token":` + eos
				}
				ids, err := opened(t, processors[processor], "tokenizer_config.json", config+"}").Encode("a", true)
				got := ""
				for _, id := range ids {
					got += map[int32]string{0: "B", 1: "E"}[id]
				}
				if err != nil || got != w {
					t.Errorf("%s, post-processor %s: %q (%v) around the text, want %q", config, processor, got, err, w)
				}
			}
		}
	}
}

// Templates in files are those of the model: chat_template.jinja drops every entry of tokenizer_config.json, and the one for
// requests with tools lies in a folder, or in a bundle beside it.
func TestTemplatesInFiles(t *testing.T) {
	const list = `{"chat_template":[{"name":"default","template":"old"},{"name":"tool_use","template":"old tools"}]}`
	for _, c := range []struct {
		files    []string
		one, two string
	}{
		{[]string{"tokenizer_config.json", list}, "old", "old tools"},
		{[]string{"tokenizer_config.json", `{"chat_template":{"default":"one","tool_use":"two"}}`}, "one", "two"},
		{[]string{"tokenizer_config.json", list, "chat_template.jinja", "new"}, "new", ""},
		{[]string{"chat_template.jinja", "new", "additional_chat_templates/tool_use.jinja", "new tools"}, "new", "new tools"},
		{[]string{"chat_template.jinja", "new", "tool_use.jinja", "new tools"}, "new", "new tools"},
		{[]string{"tokenizer_config.json", list, "additional_chat_templates/tool_use.jinja", "new tools"}, "old", "new tools"},
	} {
		got := opened(t, "", c.files...).Config()
		if got.ChatTemplate != c.one || got.ChatTemplates["tool_use"] != c.two {
			t.Errorf("%v: %q and %q", c.files, got.ChatTemplate, got.ChatTemplates)
		}
	}
}
