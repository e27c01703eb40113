package server_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/api"
)

// lensed answers "a" after two loops, of which the first would have said "b".
func lensed(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
	nan, ln := float32(math.NaN()), func(p float64) float32 { return float32(math.Log(p)) }
	var out []*loopctl.Stream
	for range reqs {
		st := loopctl.NewStream(4)
		st.Push(loopctl.Event{
			Token: loopctl.Sampled{ID: 'a'}, Loops: 2, Finish: loopctl.FinishLength, Stats: &loopctl.Stats{},
			Lens: []loopctl.LoopView{
				{Loop: 1, Entropy: 1.5, Delta: 0.5, Gate: nan, Top: []loopctl.TokenLogprob{{ID: 'b', Logprob: ln(0.5)}, {ID: 'a', Logprob: ln(0.25)}}},
				{Loop: 2, Entropy: 0.25, Delta: nan, Gate: 0, Top: []loopctl.TokenLogprob{{ID: 'a', Logprob: 0}, {ID: 1, Logprob: float32(math.Inf(-1))}}},
			},
		})
		out = append(out, st)
	}
	return out, nil
}

func TestLens(t *testing.T) {
	srv := serverOf(t, model("adder", &generator{submit: lensed}))
	ts := newTestServer(t, srv)
	const want = `"lens":[{"token":"a","id":97,"loops":[` +
		`{"loop":1,"entropy":1.5,"delta":0.5,"gate":null,"top":[{"token":"b","id":98,"prob":0.5},{"token":"a","id":97,"prob":0.25}]},` +
		`{"loop":2,"entropy":0.25,"delta":null,"gate":0.5,"top":[{"token":"a","id":97,"prob":1},{"token":"\u0001","id":1,"prob":0}]}]}]`
	answers := map[string]answer{
		"completion": post(t, ts, `{"prompt":"x","return_lens":2}`),
		"chunk":      post(t, ts, `{"prompt":"x","return_lens":2,"stream":true}`),
		"chat":       chat(t, ts, `{"messages":[{"role":"user","content":"x"}],"return_lens":2,"max_tokens":4}`),
		"chat chunk": chat(t, ts, `{"messages":[{"role":"user","content":"x"}],"return_lens":2,"max_tokens":4,"stream":true}`),
	}
	for name, a := range answers {
		text := a.body
		for _, p := range []string{"0.5", "0.25"} { // through a float32 logarithm
			text = roundProbs(text, p)
		}
		if a.status != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// roundProbs writes probabilities that are p but for rounding as p.
func roundProbs(text, p string) string {
	var want float64
	_ = json.Unmarshal([]byte(p), &want)
	parts := strings.Split(text, `"prob":`)
	for i, part := range parts[1:] {
		end := strings.IndexAny(part, ",}")
		var v float64
		if json.Unmarshal([]byte(part[:end]), &v) == nil && math.Abs(v-want) < 1e-6 {
			parts[i+1] = p + part[end:]
		}
	}
	return strings.Join(parts, `"prob":`)
}

// A lens has an entry per token, loop and place: what it may cost is bounded before anything runs.
func TestLensCost(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	m := model("adder", &generator{submit: s.submit})
	m.Context = 1 << 20
	srv := serverOf(t, m)
	ts := newTestServer(t, srv)
	checkError(t, post(t, ts, `{"prompt":"x","return_lens":20,"max_tokens":10000,"loops":12}`), 400, "request_too_large", "return_lens",
		"return_lens asks for 2400000 entries (1 sequences × 10000 tokens × 12 loops × 20): at most 1048576 per request: lower return_lens, max_tokens, n or loops")
	decode(t, post(t, ts, `{"prompt":"x","return_lens":20,"max_tokens":1000,"loops":12}`))
	small, _ := serve(t, s, server.Config{Limits: api.Limits{LoopSteps: 50}})
	checkError(t, post(t, small, `{"prompt":"x","return_lens":1,"max_tokens":10,"loops":3,"loop_budget":28}`), 400, "request_too_large", "max_tokens",
		"54 loop-steps asked for (1 sequences × 9 tokens × 3 loops × 2 for return_lens): at most 50 per request: lower max_tokens, n or loops")
}
