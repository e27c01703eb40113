package constrain_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/runtime/sampler"
)

const eos = 0

// vocabulary has an end token, every byte (id − 1), and some longer tokens.
func vocabulary(longer ...string) (*constrain.Vocabulary, []string) {
	tokens := []string{""}
	for b := range 256 {
		tokens = append(tokens, string([]byte{byte(b)}))
	}
	tokens = append(tokens, longer...)
	return constrain.NewVocabulary(len(tokens), func(id int32) []byte { return []byte(tokens[id]) }), tokens
}

var pieces = []string{
	`{"`, `":`, `": `, `",`, `", "`, `"}`, `"]`, `},`, `}, {`, `[]`, `{}`, "true", "false", "null", "tr", "ue", "12", "345", "0.5", "-1", "e+",
	" ", "  ", "\n  ", "\n", "the", " the", "é", "\u20ac", "\xe2\x82", "\xac", `\"`, `\u00`, `\n`, "name", `"name"`, "name\":", "[[", "]]", "abc", "a-z",
}

// write lets a random model write a text: with each token's chance of its length where it is allowed, until it ends.
func write(t *testing.T, m *constrain.Automaton, tokens []string, rng *rand.Rand, most int) (string, bool) {
	t.Helper()
	p := sampler.Params{Temperature: 1 + 2*rng.Float64(), Seed: rng.Uint64(), StopIDs: []int32{eos}, Constraint: m.Start()}
	if rng.IntN(4) == 0 {
		p.Temperature = 0
	}
	s, err := sampler.New(p)
	if err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, len(tokens))
	var out strings.Builder
	for range most {
		for i := range logits {
			logits[i] = float32(rng.NormFloat64() * 3)
		}
		// a taste for what ends things, so that texts do end
		for _, b := range []byte("}]\" ,:0") {
			logits[1+int(b)] += 3
		}
		logits[eos] += 6
		if rng.IntN(20) == 0 {
			logits[rng.IntN(len(logits))] = float32(math.Inf(1))
		}
		id := s.Sample(logits).ID
		if id == eos {
			return out.String(), true
		}
		out.WriteString(tokens[id])
	}
	return out.String(), false
}

func automaton(t *testing.T, f *constrain.Form, err error, v *constrain.Vocabulary) *constrain.Automaton {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	m, err := constrain.Compile(f, v)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
