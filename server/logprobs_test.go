package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
)

// wireLogprobs keeps numbers as they were written: clients compare them exactly.
type wireLogprobs struct {
	TextOffset    []int                    `json:"text_offset"`
	TokenLogprobs []json.Number            `json:"token_logprobs"`
	Tokens        []string                 `json:"tokens"`
	TopLogprobs   []map[string]json.Number `json:"top_logprobs"`
}

type wireScored struct {
	Choices []struct {
		Index          int
		Text           string
		Logprobs       *wireLogprobs
		PromptLogprobs []map[string]struct {
			Logprob json.Number
			Rank    int
			Token   string `json:"decoded_token"`
		} `json:"prompt_logprobs"`
	}
	Usage struct {
		CompletionTokens int `json:"completion_tokens"`
	}
}

func scoredAnswer(t *testing.T, a answer) wireScored {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	var out wireScored
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return out
}

func number(t *testing.T, n json.Number) float64 {
	t.Helper()
	v, err := n.Float64()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// greedy is lm-evaluation-harness's own check: the token is the most likely one if its log-probability is the largest
// of the alternatives, by exact comparison.
func greedy(t *testing.T, own json.Number, top map[string]json.Number) bool {
	t.Helper()
	best := -1e30
	for _, v := range top {
		best = max(best, number(t, v))
	}
	return number(t, own) == best
}

func idList(text string) string {
	ids := make([]string, len(text))
	for i := range len(text) {
		ids[i] = fmt.Sprint(text[i])
	}
	return "[" + strings.Join(ids, ",") + "]"
}

// What lm-evaluation-harness's local-completions does: it sends context and continuation as ids, with echo, and reads
// the log-probabilities of the continuation.
func TestEchoScoresAContinuation(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	for _, loops := range []int{1, 4, 12} {
		context := "12+30="
		c := decode(t, post(t, ts, fmt.Sprintf(`{"prompt":%s,"max_tokens":8,"temperature":0,"seed":1234,"loops":%d,"ignore_eos":true,"skip_special_tokens":false}`, idList(context), loops)))
		said, err := letters{}.Encode(c.Choices[0].Text, false)
		if err != nil || len(said) != 8 {
			t.Fatalf("%d tokens of %q, %v", len(said), c.Choices[0].Text, err)
		}
		var continuation []byte
		for _, id := range said {
			continuation = append(continuation, byte(id))
		}
		wrong := slices.Clone(continuation)
		wrong[3] ^= 1
		body := fmt.Sprintf(`{"prompt":[%s,%s],"max_tokens":1,"temperature":0,"logprobs":1,"echo":true,"seed":1234,"loops":%d,"ignore_eos":true}`,
			idList(context+string(continuation)), idList(context+string(wrong)), loops)
		out := scoredAnswer(t, post(t, ts, body))
		for i, ch := range out.Choices {
			l := ch.Logprobs
			n := len(context) + len(continuation)
			if ch.Index != i || len(l.Tokens) != n+1 || len(l.TokenLogprobs) != n+1 || len(l.TopLogprobs) != n+1 || len(l.TextOffset) != n+1 {
				t.Fatalf("loops %d: %d tokens, want %d", loops, len(l.Tokens), n+1)
			}
			if l.TokenLogprobs[0] != "" || l.TopLogprobs[0] != nil {
				t.Errorf("first token: %q %v, want null", l.TokenLogprobs[0], l.TopLogprobs[0])
			}
			all := true
			for j := len(context); j < n; j++ { // token_logprobs[ctxlen:-1]
				if len(l.TopLogprobs[j]) == 0 {
					t.Fatalf("no alternatives at %d", j)
				}
				all = all && greedy(t, l.TokenLogprobs[j], l.TopLogprobs[j])
			}
			if want := i == 0; all != want {
				t.Errorf("loops %d: choice %d is greedy: %v, want %v", loops, i, all, want)
			}
			if !greedy(t, l.TokenLogprobs[n], l.TopLogprobs[n]) {
				t.Errorf("loops %d: the generated token is not the most likely one", loops)
			}
		}
	}
}

func TestEcho(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	for _, tt := range []struct{ name, fields, text string }{
		{"of text", `"prompt":"<ab"`, "<ab"},
		{"of ids", `"prompt":[97,98]`, "ab"},
		{"of ids, special ones left out", `"prompt":[1,97]`, "a"},
		{"of ids, special ones shown", `"prompt":[1,97],"skip_special_tokens":false`, "\x01a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := scoredAnswer(t, post(t, ts, `{"echo":true,"max_tokens":0,`+tt.fields+`}`))
			if ch := a.Choices[0]; ch.Text != tt.text || ch.Logprobs != nil || a.Usage.CompletionTokens != 0 {
				t.Errorf("got %+v", a)
			}
			a = scoredAnswer(t, post(t, ts, `{"echo":true,"max_tokens":0,"logprobs":2,"n":2,`+tt.fields+`}`))
			for _, ch := range a.Choices {
				if ch.Text != tt.text || len(ch.Logprobs.Tokens) < 2 || len(ch.Logprobs.TopLogprobs[1]) < 2 {
					t.Errorf("got %+v of %+v", ch, ch.Logprobs)
				}
			}
			if b := scoredAnswer(t, post(t, ts, `{"echo":true,"max_tokens":3,"temperature":0,"ignore_eos":true,`+tt.fields+`}`)); !strings.HasPrefix(b.Choices[0].Text, tt.text) {
				t.Errorf("text %q", b.Choices[0].Text)
			}
		})
	}
	checkError(t, post(t, ts, `{"prompt":"x","max_tokens":0}`), 400, "invalid_value", "max_tokens", "max_tokens is 0: it must be at least 1, unless echo or prompt_logprobs is set")
}

// A stream tells the same as a whole answer.
func TestLogprobsStream(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	for _, fields := range []string{
		`"logprobs":0`, `"logprobs":3`, `"logprobs":2,"echo":true`, `"logprobs":2,"echo":true,"max_tokens":0`,
		`"logprobs":2,"n":3,"temperature":1,"seed":5`, `"logprobs":1,"return_tokens_as_token_ids":true`, `"logprobs":2,"stop":"="`,
	} {
		body := `{"prompt":"12+3","ignore_eos":true,` + fields
		if !strings.Contains(fields, "temperature") {
			body += `,"temperature":0`
		}
		whole := scoredAnswer(t, post(t, ts, body+`}`))
		parts := make([]wireLogprobs, len(whole.Choices))
		texts := make([]string, len(whole.Choices))
		for line := range strings.SplitSeq(post(t, ts, body+`,"stream":true}`).body, "\n") {
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok || data == "[DONE]" {
				continue
			}
			var c wireScored
			if err := json.Unmarshal([]byte(data), &c); err != nil {
				t.Fatal(err)
			}
			for _, ch := range c.Choices {
				texts[ch.Index] += ch.Text
				if l := ch.Logprobs; l != nil {
					p := &parts[ch.Index]
					p.Tokens, p.TextOffset = append(p.Tokens, l.Tokens...), append(p.TextOffset, l.TextOffset...)
					p.TokenLogprobs, p.TopLogprobs = append(p.TokenLogprobs, l.TokenLogprobs...), append(p.TopLogprobs, l.TopLogprobs...)
				}
			}
		}
		for i, ch := range whole.Choices {
			got, _ := json.Marshal(parts[i])
			want, _ := json.Marshal(ch.Logprobs)
			if string(got) != string(want) || texts[i] != ch.Text {
				t.Errorf("%s: choice %d streamed\n %s\nwhole\n %s", fields, i, got, want)
			}
		}
		l := whole.Choices[0].Logprobs
		if strings.Contains(fields, "token_ids") && !strings.HasPrefix(l.Tokens[0], "token_id:") {
			t.Errorf("tokens %q", l.Tokens)
		}
	}
}

func TestPromptLogprobs(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	a := scoredAnswer(t, post(t, ts, `{"prompt":"abc","max_tokens":0,"prompt_logprobs":2}`))
	p := a.Choices[0].PromptLogprobs
	if len(p) != 3 || p[0] != nil || a.Choices[0].Text != "" {
		t.Fatalf("got %+v", a.Choices[0])
	}
	for i, id := range []string{"98", "99"} {
		own, ok := p[i+1][id]
		if !ok || len(p[i+1]) < 2 || own.Rank < 1 || own.Token != string("bc"[i]) {
			t.Errorf("position %d: %+v", i+1, p[i+1])
		}
		ranks := map[int]bool{}
		for _, e := range p[i+1] {
			ranks[e.Rank] = true
		}
		if !ranks[1] || !ranks[2] {
			t.Errorf("position %d has ranks %v", i+1, ranks)
		}
	}
}

// best_of shows the likeliest of its sequences per token, in order, and counts them all.
func TestBestOf(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	const body = `{"prompt":["12+3","ab"],"max_tokens":4,"ignore_eos":true,"seed":9,"temperature":1.5,"logprobs":0`
	mean := func(l *wireLogprobs) (sum float64) {
		for _, v := range l.TokenLogprobs {
			sum += number(t, v)
		}
		return sum / float64(len(l.TokenLogprobs))
	}
	all := scoredAnswer(t, post(t, ts, body+`,"n":5}`))
	var want []float64
	for p := range 2 {
		var means []float64
		for _, ch := range all.Choices[p*5 : p*5+5] {
			means = append(means, mean(ch.Logprobs))
		}
		slices.Sort(means)
		want = append(want, means[4], means[3])
	}
	best := scoredAnswer(t, post(t, ts, body+`,"n":2,"best_of":5}`))
	for i, ch := range best.Choices {
		if ch.Index != i || mean(ch.Logprobs) != want[i] {
			t.Errorf("choice %d (%d): mean %v, want %v", i, ch.Index, mean(ch.Logprobs), want[i])
		}
	}
	if len(best.Choices) != 4 || best.Usage.CompletionTokens != 40 {
		t.Errorf("%d choices, %d tokens", len(best.Choices), best.Usage.CompletionTokens)
	}
	if plain := scoredAnswer(t, post(t, ts, strings.TrimSuffix(body, `,"logprobs":0`)+`,"best_of":3}`)); len(plain.Choices) != 2 || plain.Choices[0].Logprobs != nil {
		t.Errorf("got %+v", plain)
	}
}

func TestChatLogprobs(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	const body = `{"messages":[{"role":"user","content":"1+2"}],"max_tokens":3,"temperature":0,"ignore_eos":true`
	a := send(t, ts, "POST", "/v1/chat/completions", body+`,"logprobs":true,"top_logprobs":2}`)
	var out struct {
		Choices []struct {
			Message  struct{ Content string }
			Logprobs struct {
				Content []struct {
					Token   string
					Logprob json.Number
					Bytes   []int
					Top     []struct {
						Token   string
						Logprob json.Number
						Bytes   []int
					} `json:"top_logprobs"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != 200 {
		t.Fatalf("%v in %s", err, a.body)
	}
	text := ""
	for _, tok := range out.Choices[0].Logprobs.Content {
		text += tok.Token
		if len(tok.Top) != 2 || tok.Top[0].Logprob != tok.Logprob || tok.Top[0].Token != tok.Token || string(rune(tok.Bytes[0])) == "" {
			t.Errorf("token %+v", tok)
		}
	}
	if len(out.Choices[0].Logprobs.Content) != 3 || text != out.Choices[0].Message.Content {
		t.Errorf("text %q of %s", text, a.body)
	}
	checkError(t, send(t, ts, "POST", "/v1/chat/completions", body+`,"top_logprobs":2}`), 400, "invalid_value", "top_logprobs",
		`top_logprobs has no effect without "logprobs": true: set logprobs, or leave top_logprobs out`)
}

// Every field here is bounded before the engine hears of it.
func TestLogprobsAreBounded(t *testing.T) {
	m := model("adder", &generator{submit: func(...*loopctl.Request) ([]*loopctl.Stream, error) {
		t.Error("the request reached the engine")
		return nil, loopctl.ErrQueueFull
	}})
	m.Context = 1 << 20
	srv := serverOf(t, m)
	ts := newTestServer(t, srv)
	const says = "the answer would hold up to %d log-probabilities: at most 1048576 per request: lower %s, max_tokens or n, or send fewer prompts"
	checkError(t, post(t, ts, `{"prompt":"x","max_tokens":4000,"n":128,"logprobs":20,"loops":1}`), 400, "request_too_large", "logprobs", fmt.Sprintf(says, 4000*128*21, "logprobs"))
	checkError(t, post(t, ts, `{"prompt":"x","max_tokens":4000,"best_of":128,"logprobs":20,"loops":1}`), 400, "request_too_large", "logprobs", fmt.Sprintf(says, 4000*128*21, "logprobs"))
	long := strings.Repeat("x", 20000)
	checkError(t, post(t, ts, `{"prompt":["`+long+`","`+long+`","`+long+`"],"max_tokens":0,"prompt_logprobs":20}`), 400, "request_too_large", "prompt_logprobs", fmt.Sprintf(says, 3*20000*21, "prompt_logprobs"))
	var bias strings.Builder
	for i := range 1025 {
		fmt.Fprintf(&bias, `,"%d":1`, i)
	}
	checkError(t, post(t, ts, `{"prompt":"x","logit_bias":{`+bias.String()[1:]+`}}`), 400, "invalid_value", "logit_bias", "logit_bias has 1025 entries: at most 1024 are allowed")
}
