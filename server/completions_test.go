package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

type wireCompletion struct {
	ID, Object, Model string
	Choices           []struct {
		Index        int
		Text         string
		FinishReason *string `json:"finish_reason"`
		StopReason   any     `json:"stop_reason"`
		Loops        []int
	}
	Usage   *wireUsage
	Timings map[string]*float64
}

type wireUsage struct {
	PromptTokens            int `json:"prompt_tokens"`
	CompletionTokens        int `json:"completion_tokens"`
	TotalTokens             int `json:"total_tokens"`
	CompletionTokensDetails struct {
		Loops wireLoops
	} `json:"completion_tokens_details"`
	PromptTokensDetails struct {
		Loops wireLoops
	} `json:"prompt_tokens_details"`
}

type wireLoops struct {
	Total, Max, Saved, Granted int
	Mean                       float64
}

func decode(t *testing.T, a answer) wireCompletion {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	var out wireCompletion
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return out
}

// The README's command: curl -d says that a form comes.
func TestCompletion(t *testing.T) {
	s := &script{text: "1368\x00", finish: loopctl.FinishStop}
	ts, _ := serve(t, s, server.Config{})
	a := post(t, ts, `{"model":"adder","prompt":"123+456+789=","max_tokens":8,"temperature":0,"loops":8}`,
		"Content-Type", "application/x-www-form-urlencoded", "X-Request-Id", "mine-7<script>")
	c := decode(t, a)
	if c.Object != "text_completion" || c.Model != "adder" || c.ID != "cmpl-mine-7script" || len(c.Choices) != 1 {
		t.Errorf("got %+v", c)
	}
	ch := c.Choices[0]
	if ch.Text != "1368" || *ch.FinishReason != "stop" || ch.StopReason != nil || ch.Loops != nil {
		t.Errorf("choice %+v", ch)
	}
	if c.Usage.PromptTokens != 12 || c.Usage.CompletionTokens != 5 || c.Usage.TotalTokens != 17 {
		t.Errorf("usage %+v", c.Usage)
	}
	if l := c.Usage.CompletionTokensDetails.Loops; l.Total != 40 || l.Mean != 8 || l.Max != 8 || l.Saved != 0 {
		t.Errorf("loops %+v", l)
	}
	if l := c.Usage.PromptTokensDetails.Loops; l.Total != 96 || l.Max != 8 {
		t.Errorf("prompt loops %+v", l)
	}
	for name, want := range map[string]float64{
		"queue_time_ms": 2, "time_to_first_token_ms": 5, "generation_time_ms": 4, "mean_itl_ms": 1,
		"tokens_per_second": 5 / 0.007, "loops_per_second": 40 / 0.007, "ms_per_loop": 0.125,
	} {
		if v := c.Timings[name]; v == nil || *v < want*0.999 || *v > want*1.001 {
			t.Errorf("timings.%s is %v, want %v", name, v, want)
		}
	}
	for name, want := range map[string]string{
		"X-Request-Id": "mine-7script", "X-Model": "adder", "X-Loops-Requested": "8", "X-Loops-Applied": "8",
		"X-Queue-Ms": "2.000", "Content-Type": "application/json; charset=utf-8",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if a.header.Get("X-Prefix-Key") == "" || send(t, ts, "POST", "/v1/completions", `{"model":"adder","prompt":"1+2=","max_tokens":1}`, "X-Prefix-Key", "mine").header.Get("X-Prefix-Key") != "mine" {
		t.Error("no key for balancers, or not the client's own")
	}
	if a.header.Get("openai-processing-ms") == "" {
		t.Error("no openai-processing-ms")
	}
	if r := s.requests[0]; r.MaxTokens != 8 || r.Loops != 8 || len(r.StopIDs) != 1 || r.Sampler == nil || r.Arrived.IsZero() {
		t.Errorf("request %+v", r)
	}
}

func TestLoopsPrecedence(t *testing.T) {
	tests := []struct {
		name, body, header string
		requested          string
		applied            int
	}{
		{"default", `"model":"adder"`, "", "", 4},
		{"header", `"model":"adder"`, "3", "3", 3},
		{"alias over header", `"model":"adder@5"`, "3", "5", 5},
		{"body over alias", `"model":"adder@5","loops":6`, "3", "6", 6},
		{"null is absent", `"model":"adder@5","loops":null`, "", "5", 5},
		{"8.0 is whole", `"model":"adder","loops":8.0`, "", "8", 8},
		{"clamped", `"model":"adder","loops":99,"loops_clamp":true`, "", "99", 12},
		{"only model", `"loops":2`, "", "2", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{text: "ab", finish: loopctl.FinishLength}
			ts, _ := serve(t, s, server.Config{})
			header := []string{}
			if tt.header != "" {
				header = append(header, "X-Loops", tt.header)
			}
			a := post(t, ts, `{"prompt":"x","max_tokens":2,`+tt.body+`}`, header...)
			decode(t, a)
			if got := s.requests[0].Loops; got != tt.applied {
				t.Errorf("loops %d, want %d", got, tt.applied)
			}
			if got := a.header.Get("X-Loops-Requested"); got != tt.requested {
				t.Errorf("requested %q, want %q", got, tt.requested)
			}
		})
	}
}

func TestPromptForms(t *testing.T) {
	tests := []struct {
		name, prompt string
		n            int
		want         []string // prompts of the requests, as text
	}{
		{"string", `"ab"`, 1, []string{"ab"}},
		{"strings", `["ab","c"]`, 1, []string{"ab", "c"}},
		{"ids", `[97,98]`, 1, []string{"ab"}},
		{"lists of ids", `[[97],[98,99]]`, 1, []string{"a", "bc"}},
		{"n numbers the choices prompt by prompt", `["a","b"]`, 2, []string{"a", "a", "b", "b"}},
		{"special tokens", `"<a"`, 1, []string{"\x01<a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{text: "xyz", finish: loopctl.FinishLength}
			ts, _ := serve(t, s, server.Config{})
			body, _ := json.Marshal(map[string]any{"prompt": json.RawMessage(tt.prompt), "n": tt.n, "seed": 5, "return_loops": true, "max_tokens": 3})
			c := decode(t, post(t, ts, string(body)))
			if len(c.Choices) != len(tt.want) {
				t.Fatalf("%d choices", len(c.Choices))
			}
			for i, ch := range c.Choices {
				got, _ := letters{}.Decode(s.requests[i].Prompt, false)
				if ch.Index != i || ch.Text != "xyz" || *ch.FinishReason != "length" || got != tt.want[i] || len(ch.Loops) != 3 {
					t.Errorf("choice %d: %+v of prompt %q", i, ch, got)
				}
			}
		})
	}
}

func TestStops(t *testing.T) {
	tests := []struct {
		name, fields, says string
		finish             loopctl.FinishReason
		text, reason       string
		tokens             int
	}{
		{"across tokens", `"stop":"cd"`, "abcdef", loopctl.FinishLength, "ab", `"cd"`, 4},
		{"the first of several", `"stop":["ef","d"]`, "abcdef", loopctl.FinishLength, "abc", `"d"`, 4},
		{"included", `"stop":"cd","include_stop_str_in_output":true`, "abcdef", loopctl.FinishLength, "abcd", `"cd"`, 4},
		{"almost", `"stop":"cx"`, "abcc", loopctl.FinishLength, "abcc", `null`, 4},
		{"at the last token", `"stop":"c"`, "abc", loopctl.FinishLength, "ab", `"c"`, 3},
		{"null", `"stop":null`, "abc", loopctl.FinishLength, "abc", `null`, 3},
		{"stop id", `"stop_token_ids":[99]`, "abc", loopctl.FinishStop, "ab", `99`, 3},
		{"the model's own, named", `"stop_token_ids":[0],"ignore_eos":true`, "ab\x00", loopctl.FinishStop, "ab", `0`, 3},
		{"end of text", `"stop":"zz"`, "abz\x00", loopctl.FinishStop, "abz", `null`, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{text: tt.says, finish: tt.finish}
			ts, _ := serve(t, s, server.Config{})
			c := decode(t, post(t, ts, `{"prompt":"x","max_tokens":20,`+tt.fields+`}`))
			ch := c.Choices[0]
			reason, _ := json.Marshal(ch.StopReason)
			if ch.Text != tt.text || string(reason) != tt.reason || c.Usage.CompletionTokens != tt.tokens {
				t.Errorf("text %q, reason %s, %d tokens; want %q, %s, %d", ch.Text, reason, c.Usage.CompletionTokens, tt.text, tt.reason, tt.tokens)
			}
		})
	}
}

func TestParametersReachTheRequest(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	ts, _ := serve(t, s, server.Config{})
	decode(t, post(t, ts, `{"prompt":"x","max_completion_tokens":3,"ignore_eos":true,"stop_token_ids":[7],"seed":-2,
		"temperature":0.5,"top_k":-1,"top_p":0.9,"min_p":0.1,"user":"u","unknown":{"a":[1]},"presence_penalty":0,"logprobs":null,"best_of":1}`))
	r := s.requests[0]
	if r.MaxTokens != 3 || len(r.StopIDs) != 1 || r.StopIDs[0] != 7 || r.Seed != ^uint64(1) {
		t.Errorf("request %+v", r)
	}
	// The default of max_tokens gives way to the context, an explicit one does not.
	long := strings.Repeat("x", 60)
	decode(t, post(t, ts, `{"prompt":"`+long+`"}`))
	if got := s.requests[1].MaxTokens; got != 4 {
		t.Errorf("max tokens %d, want the 4 that are left", got)
	}
}

// Text outside a small vocabulary runs, and the answer says so: in the first chunk of a stream, and once for all prompts.
func TestUnknownText(t *testing.T) {
	unk := int32('?')
	m := model("adder", &generator{submit: (&script{text: "ab", finish: loopctl.FinishLength}).submit})
	m.UNK = &unk
	ts := newTestServer(t, serverOf(t, m))
	const warning = `prompt[1] has text that is not in the vocabulary of model adder: the model reads 1 of 2 tokens as ?`
	for body, want := range map[string]int{
		`{"prompt":"1+2="}`: 0, `{"prompt":[[49],[63]]}`: 0, `{"prompt":["1","¿=","¿"]}`: 1, `{"prompt":["1","¿=","¿"],"stream":true}`: 1,
	} {
		a := post(t, ts, body)
		if a.status != 200 || strings.Count(a.body, `"warnings":["`+warning+`"]`) != want || len(a.header.Values("X-Warning")) != want {
			t.Errorf("%s: %d %s %v", body, a.status, a.body, a.header)
		}
	}
	if a := send(t, ts, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"¿"}]}`); !strings.Contains(a.body, `"warnings":["messages has text`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}
