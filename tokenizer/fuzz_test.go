package tokenizer_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/tokenizer"
)

// fuzzBases are the small tokenizers in testdata.
func fuzzBases(f *testing.F) map[string][]byte {
	f.Helper()
	out := map[string][]byte{}
	for _, name := range vectorNames(f, "testdata") {
		out[name] = tokenizerJSON(f, "testdata", name)
	}
	return out
}

// FuzzRoundTrip: a byte-level tokenizer without a normalizer gives every text
// back, with bad bytes replaced; and encoding is repeatable.
func FuzzRoundTrip(f *testing.F) {
	tok, err := tokenizer.Parse(fuzzBases(f)["byte-level"], nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "hello world", " 'S 12345", "\xff\xe2\x82", "漢字 é\u0301", "<|end|> <|end|>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ids, err := tok.Encode(s, false)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := tok.Encode(s, false); !slices.Equal(ids, again) {
			t.Fatalf("%q: %v, then %v", s, ids, again)
		}
		got, err := tok.Decode(ids, false)
		if want := string([]rune(s)); err != nil || got != want {
			t.Fatalf("%q: decoded %q (%v)", want, got, err)
		}
	})
}

// FuzzStream: whatever the ids, the pieces are valid UTF-8 and together are
// what Decode gives.
func FuzzStream(f *testing.F) {
	var all []tokenizer.Tokenizer
	for _, name := range vectorNames(f, "testdata") {
		all = append(all, loadVector(f, "testdata", name))
	}
	f.Add([]byte{1, 2, 3, 200, 255, 0, 17}, false)
	f.Add([]byte{37, 2, 48}, false) // byte-fallback: <0x20>, <0xFD>, "+"; the space is cut before its run goes bad
	f.Fuzz(func(t *testing.T, data []byte, skip bool) {
		for _, tok := range all {
			var ids []int32
			for i, b := range data {
				ids = append(ids, int32(b)+256*int32(i%2)-1)
			}
			want, err := tok.Decode(ids, skip)
			if err != nil {
				t.Fatal(err)
			}
			checkStream(t, tok, ids, skip, want)
		}
	})
}

// FuzzParse: a mutated tokenizer.json is refused or works, and never panics
// or hangs.
func FuzzParse(f *testing.F) {
	for _, data := range fuzzBases(f) {
		f.Add(data, []byte(`{"bos_token":"<s>","add_bos_token":true}`))
	}
	f.Fuzz(func(t *testing.T, data, config []byte) {
		tok, err := tokenizer.Parse(data, config)
		if err != nil {
			return
		}
		ids, err := tok.Encode("Hello, wörld 漢字 123 <s>\n", true)
		if err != nil {
			return
		}
		want, err := tok.Decode(ids, false)
		if err != nil {
			return
		}
		checkStream(t, tok, ids, false, want)
	})
}

// FuzzExpression: what is accepted as an expression splits any text into
// parts that make it up.
func FuzzExpression(f *testing.F) {
	for _, e := range []string{`\p{L}+|\s+(?!\S)`, `[^\W\d]{2,3}?x++`, `(?i:k|s)+`, `\b\w+\b|^|$`, `(?<=a)b*`} {
		f.Add(e, "a big Kiss\n12 x")
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		pattern := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(expression)
		tok, err := tokenizer.Parse([]byte(`{"model":{"type":"WordLevel","vocab":{"?":0},"unk_token":"?"},"added_tokens":[],`+
			`"pre_tokenizer":{"type":"Split","pattern":{"Regex":"`+pattern+`"},"behavior":"Isolated","invert":false}}`), nil)
		if err != nil {
			return
		}
		_, _ = tok.Encode(text, false)
	})
}
