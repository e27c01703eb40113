package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/generate"
)

// deepEngine is the scripted engine with all that exit policies and embeddings need.
func deepEngine(t *testing.T) (*httptest.Server, loopctl.Capacity) {
	t.Helper()
	l := engineLimits(2000)
	l.Delta, l.Gate = true, true
	engine := loopctltest.New(l)
	ts, _ := serveOn(t, engine, func(m *generate.Model) { m.Gate, m.HiddenSize = true, engine.Capacity().Hidden })
	return ts, l
}

// Every policy over HTTP gives the tokens and the loops that it gives alone; replayed, the same again.
func TestPoliciesOverHTTP(t *testing.T) {
	ts, limits := deepEngine(t)
	for _, fields := range []string{
		`"exit_policy":"none"`, `"exit_policy":"delta","exit_threshold":0.3`, `"exit_policy":"gate","exit_threshold":0.9,"min_loops":2`,
		`"exit_policy":"kl","exit_threshold":0.5`, `"exit_policy":"entropy","exit_threshold":0.5`, `"exit_policy":"argmax","exit_threshold":1`,
		`"exit_policy":"delta","exit_threshold":0.5,"exit_agree":2`, `"draft_loops":2`,
	} {
		t.Run(fields, func(t *testing.T) {
			var f struct {
				Policy    string  `json:"exit_policy"`
				Threshold float64 `json:"exit_threshold"`
				Least     int     `json:"min_loops"`
				Agree     int     `json:"exit_agree"`
			}
			if err := json.Unmarshal([]byte("{"+fields+"}"), &f); err != nil {
				t.Fatal(err)
			}
			r := loopctl.Request{Prompt: []int32{'a', 'b', 'c'}, MaxTokens: 12, Loops: 10, Exit: loopctl.ExitPolicy{Threshold: f.Threshold, MinLoops: f.Least, Agree: f.Agree}}
			r.Exit.Kind, _ = loopctl.ParseExitKind(f.Policy)
			tokens, want := alone(t, limits, r)
			ask := func(fields string) ([]int, string) {
				a := post(t, ts, `{"prompt":"abc","max_tokens":12,"loops":10,"temperature":0,"ignore_eos":true,"skip_special_tokens":false,"return_loops":true,`+fields+`}`)
				c := decode(t, a)
				total, saved := 0, 0
				for _, n := range c.Choices[0].Loops {
					total += n
					saved += 10 - n
				}
				if l := c.Usage.CompletionTokensDetails.Loops; l.Total != total || l.Saved != saved && !strings.Contains(fields, "replay") {
					t.Errorf("usage %+v of loops %v", l, c.Choices[0].Loops)
				}
				return c.Choices[0].Loops, c.Choices[0].Text
			}
			loops, text := ask(fields)
			said, _ := letters{}.Decode(tokens, false)
			if fmt.Sprint(loops) != fmt.Sprint(want) || text != said {
				t.Fatalf("got  %v %q\nwant %v %q", loops, text, want, said)
			}
			if r.Exit.Kind == loopctl.ExitDelta || r.Exit.Kind == loopctl.ExitGate {
				return // these move the prompt's rows, too, which a replay runs at full depth
			}
			trace, _ := json.Marshal(loops)
			if again, text2 := ask(`"replay_loops":` + string(trace)); fmt.Sprint(again) != fmt.Sprint(loops) || text2 != text {
				t.Errorf("replayed %v %q\nwas      %v %q", again, text2, loops, text)
			}
		})
	}
}

func TestLensOverHTTP(t *testing.T) {
	ts, _ := deepEngine(t)
	a := chat(t, ts, `{"messages":[{"role":"user","content":"ab"}],"max_tokens":3,"loops":5,"temperature":0,"return_lens":2,"ignore_eos":true}`)
	ch := decodeChat(t, a).Choices[0]
	if len(ch.Lens) != 3 {
		t.Fatalf("%d entries in %s", len(ch.Lens), a.body)
	}
	for i, l := range ch.Lens {
		if len(l.Loops) != 5 || l.Loops[4].Loop != 5 || len(l.Loops[4].Top) != 2 || l.Loops[4].Top[0].ID != l.ID || l.Loops[0].Delta == nil {
			t.Errorf("token %d: %+v", i, l)
		}
	}
}

func vectorOf(t *testing.T, a answer) [][]float64 {
	t.Helper()
	var out struct {
		Object string
		Data   []struct {
			Object    string
			Index     int
			Embedding []float64
		}
		Usage struct {
			PromptTokens int `json:"prompt_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != 200 || out.Object != "list" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var list [][]float64
	for i, d := range out.Data {
		if d.Index != i || d.Object != "embedding" {
			t.Errorf("entry %d: %+v", i, d)
		}
		list = append(list, d.Embedding)
	}
	return list
}

func TestEmbeddings(t *testing.T) {
	ts, _ := deepEngine(t)
	ask := func(body string) answer { return send(t, ts, http.MethodPost, "/v1/embeddings", body) }
	// The latent after the loops is what the token is chosen from: of the last row, modulo the vocabulary, the next token.
	next := decode(t, post(t, ts, `{"prompt":"ab","max_tokens":1,"loops":7,"temperature":0,"ignore_eos":true,"skip_special_tokens":false}`)).Choices[0].Text
	last := vectorOf(t, ask(`{"input":"ab","loops":7,"pooling":"last","normalize":false}`))
	if got := string(rune(int(last[0][0]) % 256)); got != next {
		t.Errorf("the last latent %v says %q, the model %q", last[0], got, next)
	}
	first := vectorOf(t, ask(`{"input":"a","loops":7,"normalize":false}`))
	mean := vectorOf(t, ask(`{"input":"ab","loops":7,"normalize":false}`))
	if mean[0][0] != (first[0][0]+last[0][0])/2 {
		t.Errorf("mean %v of %v and %v", mean[0], first[0], last[0])
	}
	several := vectorOf(t, ask(`{"model":"adder@7","input":[[97],[97,98]],"normalize":false}`))
	if len(several) != 2 || several[0][0] != first[0][0] || several[1][0] != mean[0][0] {
		t.Errorf("several %v", several)
	}
	unit := vectorOf(t, ask(`{"input":"ab"}`))
	length := 0.0
	for _, v := range unit[0] {
		length += v * v
	}
	if math.Abs(length-1) > 1e-6 {
		t.Errorf("length %v", math.Sqrt(length))
	}
	var packed struct {
		Data []struct{ Embedding string }
	}
	a := ask(`{"input":"ab","loops":7,"pooling":"last","normalize":false,"encoding_format":"base64","dimensions":` + fmt.Sprint(len(last[0])) + `}`)
	if err := json.Unmarshal([]byte(a.body), &packed); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(packed.Data[0].Embedding)
	got := make([]float32, len(raw)/4)
	if err != nil || binary.Read(bytes.NewReader(raw), binary.LittleEndian, got) != nil || float64(got[0]) != last[0][0] {
		t.Errorf("base64 %v, want %v", got, last[0])
	}
	if a.header.Get("X-Loops-Applied") != "7" {
		t.Errorf("headers %v", a.header)
	}
}

func TestEmbeddingsBadInput(t *testing.T) {
	ts, _ := deepEngine(t)
	tests := []struct{ body, code, param, message string }{
		{`{}`, "missing_field", "input", "input is missing: give a string, or a list of strings or token ids"},
		{`{"input":7}`, "invalid_type", "input", "input is 7: it must be a string, a list of strings, a list of token ids or a list of such lists"},
		{`{"input":[[97],"my prompt"]}`, "invalid_type", "input", `input[1] is "my prompt", a string and input[0] is a list: all must be of one kind: input is a string, a list of strings, a list of token ids or a list of such lists`},
		{`{"input":[]}`, "empty_prompt", "input", "input is an empty list: give at least one input"},
		{`{"input":["a",""]}`, "empty_prompt", "input", "input[1] is empty: model adder needs at least one token to start from"},
		{`{"input":"` + strings.Repeat("a", 65) + `"}`, "context_length_exceeded", "input", "input has 65 tokens: model adder has a context of 64 tokens: shorten it"},
		{`{"input":"a","encoding_format":"int8"}`, "invalid_value", "encoding_format", `encoding_format is "int8": it must be one of float, base64`},
		{`{"input":"a","pooling":"max"}`, "invalid_value", "pooling", `pooling is "max": it must be one of mean, last`},
		{`{"input":"a","dimensions":256}`, "invalid_value", "dimensions", ""},
		{`{"input":"a","exit_policy":"kl"}`, "unsupported_policy", "exit_policy", `exit_policy is "kl", which looks at the logits of generated tokens: for embeddings use none, delta or gate`},
		{`{"input":"a","return_lens":2}`, "unsupported_field", "return_lens", "return_lens is 2: an embedding does not take the field: nothing is generated: leave the field out"},
		{`{"input":"a","truncate_prompt_tokens":5}`, "unsupported_field", "truncate_prompt_tokens", "truncate_prompt_tokens is 5: the field is not supported by this version: shorten the prompt before sending it"},
		{`{"input":"a","loops":13}`, "loops_out_of_range", "loops", "loops is 13: model adder takes an integer from 1 to 12"},
	}
	for _, tt := range tests {
		t.Run(tt.body[:min(len(tt.body), 40)], func(t *testing.T) {
			a := send(t, ts, http.MethodPost, "/v1/embeddings", tt.body)
			if tt.message == "" {
				tt.message = errorMessage(t, a)
			}
			checkError(t, a, 400, tt.code, tt.param, tt.message)
		})
	}
	plain, _ := serve(t, &script{}, server.Config{})
	checkError(t, send(t, plain, http.MethodPost, "/v1/embeddings", `{"input":"a"}`), 400, "unsupported_model", "model",
		"model adder gives no embeddings: its engine does not expose hidden states: use another model")
	for _, tt := range []struct {
		err           error
		code, message string
	}{
		{loopctl.ErrPagesExhausted, "kv_memory_exceeded", "input needs more KV memory at 4 loops than model adder has: shorten it, or lower loops"},
		{loopctl.ErrPromptTooLong, "context_length_exceeded", loopctl.ErrPromptTooLong.Error()},
	} {
		m := model("adder", &generator{submit: func(...*loopctl.Request) ([]*loopctl.Stream, error) { return nil, tt.err }})
		m.HiddenSize = 8
		srv := serverOf(t, m)
		checkError(t, send(t, newTestServer(t, srv), http.MethodPost, "/v1/embeddings", `{"input":"a"}`), 400, tt.code, "input", tt.message)
	}
}

func errorMessage(t *testing.T, a answer) string {
	t.Helper()
	var e wireError
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatal(err)
	}
	return e.Error.Message
}

// OpenAI's own client, unmodified, on the routes beside completions.
func TestOpenAIClientChat(t *testing.T) {
	ts, _ := deepEngine(t)
	client := openai.NewClient(option.WithBaseURL(ts.URL+"/v1/"), option.WithAPIKey("none"), option.WithHTTPClient(ts.Client()))
	params := openai.ChatCompletionNewParams{
		Model: "adder@6", Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("be brief"), openai.UserMessage("12+30=")},
		MaxCompletionTokens: openai.Int(5), Temperature: openai.Float(0),
	}
	c, err := client.Chat.Completions.New(t.Context(), params, option.WithJSONSet("exit_policy", "delta"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Choices[0].Message.Role != "assistant" || c.Usage.CompletionTokens == 0 || c.Choices[0].FinishReason == "" {
		t.Errorf("got %s", c.RawJSON())
	}
	stream := client.Chat.Completions.NewStreaming(t.Context(), params, option.WithJSONSet("exit_policy", "delta"))
	var acc openai.ChatCompletionAccumulator
	for stream.Next() {
		acc.AddChunk(stream.Current())
	}
	if err := stream.Err(); err != nil || acc.Choices[0].Message.Content != c.Choices[0].Message.Content {
		t.Errorf("%v, streamed %q, whole %q", err, acc.Choices[0].Message.Content, c.Choices[0].Message.Content)
	}
	e, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "adder", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}}})
	if err != nil || len(e.Data) != 2 || e.Usage.PromptTokens != 2 {
		t.Errorf("%v %+v", err, e)
	}
}
