package export

import (
	"encoding/json"
	"errors"
	"testing"
)

// What config.json leaves out is what upstream's class has (transformers 5.24); null heads of keys are the query's.
func TestDefaults(t *testing.T) {
	for modelType, want := range map[string]struct{ kvHeads, context int }{
		"llama": {64, 2048}, "mistral": {8, 131072}, "qwen2": {32, 32768}, "qwen3": {32, 32768}, "smollm3": {4, 32768}, "hrm_text": {64, 2048},
	} {
		for kvHeads, n := range map[string]int{"": want.kvHeads, `, "num_key_value_heads": null`: 64} {
			dir, err := openFolder(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			c := &config{dir: dir}
			text := `{"vocab_size": 9, "hidden_size": 128, "intermediate_size": 8, "num_attention_heads": 64, "num_hidden_layers": 1` + kvHeads + `}`
			if err := json.Unmarshal([]byte(text), &c.keys); err != nil {
				t.Fatal(err)
			}
			c.null = dropNulls(c.keys)
			f, err := families[modelType](c, func(string) bool { return false })
			if err := errors.Join(err, dir.close()); err != nil {
				t.Fatal(err)
			}
			var b *base
			switch m := f.(type) {
			case *decoder:
				b = &m.base
			case *hrmText:
				b = &m.base
			}
			if b.attention.kvHeads != n || b.context != want.context {
				t.Errorf("%s%s: %d heads of keys and %d positions, want %d and %d", modelType, kvHeads, b.attention.kvHeads, b.context, n, want.context)
			}
		}
	}
	dir, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.close()
	f, err := newHRMText(&config{dir: dir, keys: map[string]json.RawMessage{}}, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if m := f.(*hrmText); m.vocab != 151808 || m.hidden != 1536 || m.ffn != 4096 || m.attention.heads != 12 || m.stack != 16 || m.scale != 50 {
		t.Errorf("an HRM-Text of an empty config.json: %+v", m)
	}
}
