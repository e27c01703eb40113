package constrain_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/loopserve/loopserve/runtime/constrain"
)

// Whatever a model says, what ends is JSON.
func TestJSONParses(t *testing.T) {
	v, tokens := vocabulary(pieces...)
	for _, objects := range []bool{false, true} {
		m := automaton(t, constrain.JSON(objects), nil, v)
		rng := rand.New(rand.NewPCG(1, 2))
		ended, kinds := 0, map[byte]int{}
		for range 400 {
			text, ok := write(t, m, tokens, rng, 300)
			if !ok {
				continue
			}
			ended++
			if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
				t.Fatalf("not JSON: %q", text)
			}
			kinds[strings.TrimSpace(text)[0]]++
		}
		if ended < 200 || objects && kinds['{'] != ended || !objects && len(kinds) < 5 {
			t.Errorf("%d of 400 ended, by first byte %v", ended, kinds)
		}
	}
}

// accepts says whether the texts of a form have this one among them.
func accepts(m *constrain.Automaton, text string) bool {
	x := m.Start()
	for i := range len(text) {
		id := int32(text[i]) + 1
		allowed := x.Next()
		byMask := allowed != nil && allowed[id>>6]>>(id&63)&1 != 0
		if byMask != x.Allows(id) {
			panic("Next and Allows differ")
		}
		if !byMask {
			return false
		}
		x.Advance(id)
	}
	return x.MayEnd()
}

func TestJSONAccepts(t *testing.T) {
	v, _ := vocabulary()
	m := automaton(t, constrain.JSON(false), nil, v)
	for text, want := range map[string]bool{
		`1`: true, `-0`: true, `01`: false, `1.`: false, `1.5e+10`: true, `1e999`: false, `"a"`: true, `"é\u00e9\n"`: true, "\"\n\"": false,
		`"\ud800"`: false, `"\x"`: false, "\"\xff\"": false, "\"\xed\xa0\x80\"": false, "\"\xf4\x90\x80\x80\"": false, "\"\U0010ffff\"": true,
		`[]`: true, `[1, 2,3]`: true, `[1,]`: false, `{}`: true, `{"a":1}`: true, `{"a": {"b": [true, null]}}`: true, `{"a"}`: false, `{a:1}`: false,
		"{\n  \"a\": 1\n}": true, `tru`: false, ``: false, `nullx`: false, ` {}`: true, `{} `: false,
		strings.Repeat("[", 30) + strings.Repeat("]", 30): true, strings.Repeat("[", 70) + strings.Repeat("]", 70): false,
	} {
		if got := accepts(m, text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
