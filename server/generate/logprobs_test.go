package generate

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/tokenizer"
)

// pieces is a tokenizer of which only the tokens' bytes are asked for.
type pieces struct {
	tokenizer.Tokenizer

	tokens []string
}

func (p pieces) TokenBytes(id int32) []byte { return []byte(p.tokens[id]) }
func (pieces) IsSpecial(id int32) bool      { return id == 0 }

func TestLogprobFormats(t *testing.T) {
	inf := float32(math.Inf(-1))
	plan := &Plan{SkipSpecial: true, Model: &Model{Tokenizer: pieces{tokens: []string{"<eos>", "né", "\xe2\x82", "\xac!", "a", "a"}}}}
	names := plan.names()
	tokens := []scored{
		{id: 1, chars: 2, logprob: float32(math.NaN())},
		{id: 2, chars: 1, logprob: -1.5, top: []loopctl.TokenLogprob{{ID: 2, Logprob: -1.5}, {ID: 4, Logprob: -3}}},
		{id: 3, chars: 1, logprob: inf, top: []loopctl.TokenLogprob{{ID: 4, Logprob: -0.1}, {ID: 5, Logprob: -4}}},
		{id: 5, chars: 1, logprob: -4, top: []loopctl.TokenLogprob{{ID: 4, Logprob: -0.1}, {ID: 5, Logprob: -4}}}, // spelled alike: the larger stays
		{id: 0, logprob: -0.1, top: []loopctl.TokenLogprob{{ID: 0, Logprob: -0.1}}},
		{id: 4, chars: 1, logprob: -2},
	}
	completion, chat := &Logprobs{}, &ChatLogprobs{}
	if end := completion.add(tokens, 2, 10, names); end != 16 {
		t.Errorf("ends at %d", end)
	}
	chat.add(tokens[1:], 1, names)
	for _, tt := range []struct {
		got  any
		want string
	}{
		{completion, `{"text_offset":[10,12,13,14,15,15],"token_logprobs":[null,-1.5,-9999,-4,-0.1,-2],` +
			`"tokens":["né","bytes:\\xe2\\x82","bytes:\\xac\\x21","a","\u003ceos\u003e","a"],` +
			`"top_logprobs":[null,{"a":-3,"bytes:\\xe2\\x82":-1.5},{"a":-0.1,"bytes:\\xac\\x21":-9999},{"a":-0.1},{"\u003ceos\u003e":-0.1},{"a":-2}]}`},
		{chat, `{"content":[{"token":"\\xe2\\x82","logprob":-1.5,"bytes":[226,130],"top_logprobs":[{"token":"\\xe2\\x82","logprob":-1.5,"bytes":[226,130]}]},` +
			`{"token":"\\xac\\x21","logprob":-9999,"bytes":[172,33],"top_logprobs":[{"token":"a","logprob":-0.1,"bytes":[97]}]},` +
			`{"token":"a","logprob":-4,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.1,"bytes":[97]}]},` +
			`{"token":"\u003ceos\u003e","logprob":-0.1,"bytes":[60,101,111,115,62],"top_logprobs":[{"token":"\u003ceos\u003e","logprob":-0.1,"bytes":[60,101,111,115,62]}]},` +
			`{"token":"a","logprob":-2,"bytes":[97],"top_logprobs":[]}],"refusal":null}`},
	} {
		got, err := json.Marshal(tt.got)
		if err != nil || string(got) != tt.want {
			t.Errorf("%v\n got %s\nwant %s", err, got, tt.want)
		}
	}
}
