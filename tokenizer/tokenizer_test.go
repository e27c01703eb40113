package tokenizer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/loopserve/loopserve/tokenizer"
)

// Nothing is allocated for a text that was seen before, beyond the result.
func TestEncodeAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops what it is given at random")
	}
	for _, name := range vectorNames(t, "testdata") {
		tok := loadVector(t, "testdata", name)
		var ids []int32
		encode := func() {
			var err error
			if ids, err = tokenizer.AppendEncode(tok, ids[:0], "the quick brown fox, naïve café e\u0301 漢字", true); err != nil {
				t.Fatal(err)
			}
		}
		encode()
		if n := testing.AllocsPerRun(200, encode); n >= 1 {
			t.Errorf("%s: %.1f allocations per call", name, n)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	tok := loadVector(t, "testdata", "byte-level")
	want, err := tok.Encode("the quick brown fox", false)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				if _, err := tok.Encode(fmt.Sprintf("other text %d %d", g, i), false); err != nil {
					t.Error(err)
				}
				if got, err := tok.Encode("the quick brown fox", false); err != nil || !slices.Equal(got, want) {
					t.Errorf("got %v (%v), want %v", got, err, want)
				}
			}
		})
	}
	wg.Wait()
}

const tinyModel = `"model":{"type":"WordLevel","vocab":{"<s>":0,"</s>":1,"a":2,"?":3},"unk_token":"?"},
	"pre_tokenizer":{"type":"WhitespaceSplit"},
	"added_tokens":[{"id":0,"content":"<s>","special":true},{"id":1,"content":"</s>","special":true}]`

func TestConfig(t *testing.T) {
	dir := fstest.MapFS{
		"tokenizer.json": {Data: []byte("{" + tinyModel + "}")},
		"tokenizer_config.json": {Data: []byte(`{"add_bos_token":true,"add_eos_token":true,"bos_token":"<s>",
			"eos_token":{"content":"</s>","lstrip":false},"pad_token":null,
			"chat_template":[{"name":"default","template":"D"},{"name":"tool_use","template":"T"}],
			"added_tokens_decoder":{"4":{"content":"<tool>","special":true}}}`)},
	}
	tok, err := tokenizer.Open(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	c := tok.Config()
	if c.BOS != "<s>" || c.EOS != "</s>" || c.PAD != "" || c.ChatTemplate != "D" || c.ChatTemplates["tool_use"] != "T" {
		t.Errorf("config %+v", c)
	}
	ids, err := tok.Encode("a <tool> b", true)
	if want := []int32{0, 2, 4, 3, 1}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("got %v (%v), want %v", ids, err, want)
	}
	if !tok.IsSpecial(4) || tok.IsSpecial(2) || tok.VocabSize() != 5 {
		t.Errorf("special %t %t, size %d", tok.IsSpecial(4), tok.IsSpecial(2), tok.VocabSize())
	}
	dir["chat_template.jinja"] = &fstest.MapFile{Data: []byte("F")}
	if tok, err = tokenizer.Open(dir, ""); err != nil || tok.Config().ChatTemplate != "F" {
		t.Errorf("the template of its own file was not taken (%v)", err)
	}
}

// What is not implemented exactly is refused, and the message names it.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, component, says string }{
		{"model", `"model":{"type":"WordPiece","vocab":{}}`, "WordPiece"},
		{"dropout", `"model":{"type":"BPE","dropout":0.1,"vocab":{},"merges":[]}`, "dropout"},
		{"normalizer", tinyModel + `,"normalizer":{"type":"BertNormalizer"}`, "BertNormalizer"},
		{"pre-tokenizer", tinyModel + `,"pre_tokenizer":{"type":"UnicodeScripts"}`, "UnicodeScripts"},
		{"behind ByteLevel", tinyModel + `,"pre_tokenizer":{"type":"Sequence","pretokenizers":[
			{"type":"ByteLevel","add_prefix_space":false},{"type":"Whitespace"}]}`, "Whitespace"},
		{"script", tinyModel + `,"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\p{Han}+"},"behavior":"Isolated"}`, "Han"},
		{"back reference", tinyModel + `,"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a)\\1"},"behavior":"Isolated"}`, `\1`},
		{"sharp s", tinyModel + `,"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(?i:ss)"},"behavior":"Isolated"}`, "ss"},
		{"post-processor", tinyModel + `,"post_processor":{"type":"Unknown"}`, "Unknown"},
		{"decoder", tinyModel + `,"decoder":{"type":"CTC"}`, "CTC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tokenizer.Parse([]byte("{"+c.component+"}"), nil)
			if !errors.Is(err, tokenizer.ErrUnsupported) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want a refusal that says %q", err, c.says)
			}
		})
	}
}

func TestBrokenFiles(t *testing.T) {
	for _, data := range []string{
		``, `[]`, `{}`, `{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}`,
		`{"model":{"type":"BPE","vocab":{"a":99999999},"merges":[]}}`,
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`,
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}}`,
		`{"model":{"type":"Unigram","vocab":[["a"]]}}`,
		`{"model":{"type":"Unigram","unk_id":7,"vocab":[["a",0]]}}`,
		`{` + tinyModel + `,"normalizer":{"type":"Precompiled","precompiled_charsmap":"////fwAA"}}`,
		`{` + tinyModel + `,"post_processor":{"type":"TemplateProcessing","single":[]}}`,
	} {
		if _, err := tokenizer.Parse([]byte(data), nil); err == nil {
			t.Errorf("%s: no error", data)
		}
	}
}

func TestTokenBytes(t *testing.T) {
	tok := loadVector(t, "testdata", "byte-fallback")
	for token, want := range map[string]string{"▁": " ", "<0x0A>": "\n", "<s>": "<s>"} {
		id, ok := tokenizer.TokenToID(tok, token)
		if got := string(tok.TokenBytes(id)); !ok || got != want {
			t.Errorf("%s: bytes %q, want %q", token, got, want)
		}
	}
	if tok.TokenBytes(1<<30) != nil {
		t.Error("an id outside the vocabulary has bytes")
	}
}

// A class whose ranges begin or end with a hyphen is what it says.
func TestClassesBesideTheHyphen(t *testing.T) {
	for _, class := range []string{`[^,]`, `[^.]`, `[^{,}]`, `[a-c]`} {
		tok, err := tokenizer.Parse([]byte(`{"model":{"type":"WordLevel","vocab":{"?":0,"ab":1,"c":2,",":3},"unk_token":"?"},
			"pre_tokenizer":{"type":"Split","pattern":{"Regex":"`+class+`+"},"behavior":"Isolated"}}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		want := []int32{1, 3, 2}
		if class == `[^.]` {
			want = []int32{0}
		}
		if got, err := tok.Encode("ab,c", false); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: ids %v (%v), want %v", class, got, err, want)
		}
	}
}

// A token that stands for a byte is no text for the expressions behind it.
func TestTokenBytesBehindAnExpression(t *testing.T) {
	tok, err := tokenizer.Parse([]byte(`{"model":{"type":"WordLevel","vocab":{"<0xE9>":0},"unk_token":"<0xE9>"},"decoder":{"type":"Sequence",
		"decoders":[{"type":"ByteFallback"},{"type":"Replace","pattern":{"Regex":"\\W"},"content":""}]}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.TokenBytes(0); string(got) != "\xE9" {
		t.Errorf("bytes %q, want E9", got)
	}
}

// What the library behind the other backend can read it encodes and decodes as the file says; what it cannot, and its
// panics, are errors that name the backend and what to use in its place.
func TestSugarme(t *testing.T) {
	const text = "the quick brown fox"
	open := func(name string) (tokenizer.Tokenizer, error) {
		data := tokenizerJSON(t, "testdata", name)
		return tokenizer.Open(fstest.MapFS{"tokenizer.json": {Data: data}}, tokenizer.Sugarme)
	}
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "backend sugarme") || !strings.Contains(err.Error(), `use the backend "native"`) {
			t.Errorf("%s: got %v, want an error that names the backend and the remedy", what, err)
		}
	}
	for _, name := range []string{"word-level", "byte-fallback"} {
		tok, err := open(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := loadVector(t, "testdata", name).Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tok.Encode(text, false)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: ids %v (%v), want %v", name, got, err, want)
		}
		if got, err := tok.Decode(want, false); err != nil || got != text {
			t.Errorf("%s: decoded %q (%v), want %q", name, got, err, text)
		}
		if got := stream(t, tok.NewDecoder(false), want); got != text {
			t.Errorf("%s: streamed %q, want %q", name, got, text)
		}
		if !tok.IsSpecial(0) || tok.VocabSize() == 0 {
			t.Errorf("%s: special %t, size %d", name, tok.IsSpecial(0), tok.VocabSize())
		}
	}
	_, err := open("byte-level") // its expression looks ahead, which the library's engine does not know
	refused("load", err)
	tok, err := open("unigram")
	if err != nil {
		t.Fatal(err)
	}
	_, err = tok.Encode(text, false)
	refused("encode", err)
	tok, err = open("byte-fallback")
	if err != nil {
		t.Fatal(err)
	}
	_, err = tok.Decode(nil, false)
	refused("decode", err)
}
