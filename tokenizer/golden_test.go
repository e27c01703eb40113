package tokenizer_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/tokenizer"
)

// TestGoldenModels opens the tokenizer of every golden checkpoint as a server
// does and compares with its tokenizer_golden.json.
func TestGoldenModels(t *testing.T) {
	dir := goldentest.Dir(t, "golden")
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "tokenizer_golden.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tokenizer_golden.json below %s (%v)", dir, err)
	}
	for _, file := range files {
		folder := filepath.Dir(file)
		t.Run(filepath.Base(filepath.Dir(folder)), func(t *testing.T) {
			tok, err := tokenizer.OpenDir(folder, "")
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var v struct {
				Cases []struct {
					Text           string
					IDs            []int32
					Plain          []int32 `json:"ids_no_special"`
					Decoded        string
					DecodedSkipped string `json:"decoded_skip_special"`
				}
				VocabSize int `json:"vocab_size"`
			}
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			if tok.VocabSize() != v.VocabSize {
				t.Errorf("vocabulary of %d, want %d", tok.VocabSize(), v.VocabSize)
			}
			for _, c := range v.Cases {
				if got, err := tok.Encode(c.Text, true); err != nil || !slices.Equal(got, c.IDs) {
					t.Errorf("%q:\n got %v (%v)\nwant %v", c.Text, got, err, c.IDs)
				}
				if got, err := tok.Encode(c.Text, false); err != nil || !slices.Equal(got, c.Plain) {
					t.Errorf("%q without special:\n got %v (%v)\nwant %v", c.Text, got, err, c.Plain)
				}
				if got, err := tok.Decode(c.Plain, false); err != nil || got != c.Decoded {
					t.Errorf("decoded %q (%v), want %q", got, err, c.Decoded)
				}
				if got, err := tok.Decode(c.IDs, true); err != nil || got != c.DecodedSkipped {
					t.Errorf("decoded without special %q (%v), want %q", got, err, c.DecodedSkipped)
				}
			}
		})
	}
}
