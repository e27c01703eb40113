package tokenizer_test

import (
	"slices"
	"testing"
)

// The tokenizer of testdata/byte-fallback has byte b at id 4+b, and decoders as Llama 2's: a first word loses its space.
func TestStreamsByHand(t *testing.T) {
	tok := loadVector(t, "testdata", "byte-fallback")
	bytes := func(text string) (ids []int32) {
		for _, b := range []byte(text) {
			ids = append(ids, 4+int32(b))
		}
		return ids
	}
	const bos, loop = 1, 364
	long := make([]int32, 1000)
	for i := range long {
		long[i] = loop
	}
	for _, tt := range []struct {
		name         string
		context, ids []int32
		want         []string // of each id, then of the end
	}{
		{"a first word has no space", nil, []int32{loop, loop}, []string{"loop", " loop", ""}},
		{"behind a special token neither", []int32{bos}, []int32{loop, loop}, []string{"loop", " loop", ""}},
		{"behind a text it has", []int32{loop}, []int32{loop, loop}, []string{" loop", " loop", ""}},
		{"behind a long one, too", long, []int32{loop}, []string{" loop", ""}},
		{"each character as soon as it is whole", nil, bytes("🙂é"), []string{"", "", "", "🙂", "", "é", ""}},
		{"what is begun in the context is completed", bytes("🙂")[:3], bytes("🙂")[3:], []string{"🙂", ""}},
		{
			"a bad byte makes the rest of its run bad, not what was said", nil, slices.Concat(bytes("é\xffé"), []int32{loop}, bytes("é")),
			[]string{"", "é", "\ufffd", "\ufffd", "\ufffd", " loop", "", "é", ""},
		},
		{"a run that ends too early", nil, append(bytes("🙂")[:2:2], loop), []string{"", "", "\ufffd\ufffd loop", ""}},
		{"a text that ends too early", nil, bytes("🙂")[:2], []string{"", "", "\ufffd\ufffd"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := tok.NewDecoder(slices.Contains(tt.context, bos)) // bytes are special tokens, too, in this file
			d.Prime(tt.context)
			var got []string
			for _, id := range tt.ids {
				got = append(got, d.Push(id))
			}
			if got = append(got, d.Flush()); !slices.Equal(got, tt.want) {
				t.Errorf("said %q, want %q", got, tt.want)
			}
		})
	}
}
