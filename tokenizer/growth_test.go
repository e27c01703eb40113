package tokenizer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/tokenizer"
)

// built is a tokenizer.json with one more component.
func built(component string) ([]byte, time.Time) {
	return []byte(`{"model":{"type":"WordLevel","vocab":{"?":0,"a":1},"unk_token":"?"},"added_tokens":[],` + component + `}`), time.Now()
}

func chain(key, list, step string, n int) string {
	return `"` + key + `":{"type":"Sequence","` + list + `":[` + strings.TrimSuffix(strings.Repeat(step+",", n), ",") + `]}`
}

// A small file that would make much of a text, or of itself, is refused when it is read, and at once.
func TestFilesThatGrow(t *testing.T) {
	double := `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`
	split := func(expression string) string {
		return `"pre_tokenizer":{"type":"Split","behavior":"Isolated","invert":false,"pattern":{"Regex":"` + expression + `"}}`
	}
	for _, c := range []struct{ name, component, want string }{
		{"34 rules that double", chain("normalizer", "normalizers", double, 34), "8192 times longer"},
		{"rules for nothing", chain("normalizer", "normalizers", `{"type":"Replace","pattern":{"Regex":"x*"},"content":"aaaaaaaaaaaaaaa"}`, 4), "times longer"},
		{"a long beginning", chain("normalizer", "normalizers", `{"type":"Prepend","prepend":"`+strings.Repeat("a", 5000)+`"}`, 1), "times longer"},
		{"34 decoders that double", chain("decoder", "decoders", double, 34), "8192 times longer"},
		{"many normalizers", chain("normalizer", "normalizers", `{"type":"Lowercase"}`, 65), "more than 64 normalizers"},
		{"many pre-tokenizers", chain("pre_tokenizer", "pretokenizers", `{"type":"WhitespaceSplit"}`, 65), "more than 64 pre-tokenizers"},
		{"60 KB of word borders", split(strings.Repeat(`\\b`, 20000)), "longer than 8192 bytes"},
		{"63 KB of letters", split(strings.Repeat(`\\p{L}+`, 10000)), "longer than 8192 bytes"},
		{"8 KB of word borders", split(strings.Repeat(`\\b`, 4000)), "1 MiB"},
		{"8 KB of letters", split(strings.Repeat(`\\p{L}+`, 1300)), "1 MiB"},
		{"one class of 8 KB", split("[" + strings.Repeat(`\\w`, 4000) + "]"), "1 MiB"},
	} {
		file, began := built(c.component)
		_, err := tokenizer.Parse(file, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.want)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v", c.name, took)
		}
	}
}

// What is allowed by its rules is still held to the text: no prompt is made more than 16 times longer.
func TestTextsThatGrow(t *testing.T) {
	file, _ := built(chain("normalizer", "normalizers", `{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaaaaaa"}`, 2))
	tok, err := tokenizer.Parse(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Encode("a", true); err != nil {
		t.Errorf("256 characters of one: %v", err)
	}
	if _, err := tok.Encode(strings.Repeat("a", 1<<20), true); err == nil || !strings.Contains(err.Error(), "16 times longer") {
		t.Errorf("256 MiB of one: %v", err)
	}
}
