package server_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

// Tools as the two routes have them.
const (
	flatTools   = `"tools":[{"type":"function","name":"add","parameters":{"type":"object","properties":{"x":{"type":"integer"}}}}]`
	schemaTools = `"tools":[{"name":"add","input_schema":{"type":"object","properties":{"x":{"type":"integer"}}}}]`
)

// random are ids and times in answers, which no two have in common.
var random = regexp.MustCompile(`"(id|item_id|call_id)":"(rs|msg|fc|resp|call)_[^"]+"|"(created|completed)_at":\d+|"[a-z_]+(_ms|_second|_loop)":[\d.]+`)

// told are the events of a stream, deltas of one kind joined, with what tells them.
func told(t *testing.T, body string) (out []string, last string) {
	t.Helper()
	name, number := "", 0
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if kind, ok := strings.CutPrefix(line, "event: "); ok {
			name = kind
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var e struct {
			Type     string
			Sequence *int `json:"sequence_number"`
			Delta    any
			Response json.RawMessage
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil || e.Type != name || e.Sequence != nil && *e.Sequence != number {
			t.Errorf("event %s, number %d: %s", name, number, data)
		}
		number++
		if e.Response != nil {
			last = string(e.Response)
		}
		if deltas, ok := e.Delta.(map[string]any); ok {
			name, e.Delta = fmt.Sprint(name, " ", deltas["type"]), cmp.Or(deltas["text"], deltas["thinking"], deltas["partial_json"])
		}
		if n := len(out); e.Delta != nil && n > 0 && strings.HasPrefix(out[n-1], name+" ") {
			out[n-1] += fmt.Sprint(e.Delta)
			continue
		} else if e.Delta != nil {
			name += fmt.Sprint(" ", e.Delta)
		}
		out = append(out, name)
	}
	return out, last
}

func TestResponses(t *testing.T) {
	s := &script{text: "hm</think>so:\n" + oneCall + "\x00", finish: loopctl.FinishStop}
	ts := serveThinking(t, s, letters{})
	d := readDocument(t, send(t, ts, "GET", "/openapi.json", "").body)
	const ask = `{"input":"q","return_loops":true,` + flatTools
	whole := send(t, ts, "POST", "/v1/responses", ask+"}")
	d.conforms(t, "POST", "/v1/responses", whole)
	streamed := send(t, ts, "POST", "/v1/responses", ask+`,"stream":true}`)
	events, last := told(t, streamed.body)
	want := []string{
		"response.created", "response.in_progress",
		"response.output_item.added", "response.content_part.added", "response.reasoning_text.delta hm", "response.reasoning_text.done", "response.content_part.done", "response.output_item.done",
		"response.output_item.added", "response.content_part.added", "response.output_text.delta so:", "response.output_text.done", "response.content_part.done", "response.output_item.done",
		"response.output_item.added", `response.function_call_arguments.delta {"x": 1}`, "response.function_call_arguments.done", "response.output_item.done",
		"response.completed",
	}
	if fmt.Sprint(events) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", events, want)
	}
	a, b := random.ReplaceAllString(whole.body, "_"), random.ReplaceAllString(last, "_")
	if a != b {
		t.Errorf("whole    %s\nstreamed %s", a, b)
	}
	for _, part := range []string{
		`"status":"completed"`, `{"text":"hm","type":"reasoning_text"}`, `"text":"so:","type":"output_text"`, `"arguments":"{\"x\": 1}"`, `"name":"add"`, `"reasoning_tokens":10`, `"loops":[4,4,`,
	} {
		if !strings.Contains(whole.body, part) {
			t.Errorf("no %s in %s", part, whole.body)
		}
	}
	events, _ = told(t, send(t, ts, "POST", "/v1/responses", ask+`,"stream":true,"reasoning":{"summary":"auto"}}`).body)
	if got := fmt.Sprint(events[3:7]); got != "[response.reasoning_summary_part.added response.reasoning_summary_text.delta hm response.reasoning_summary_text.done response.reasoning_summary_part.done]" {
		t.Errorf("got %s", got)
	}
	hidden := send(t, ts, "POST", "/v1/responses", `{"input":"q","include_reasoning":false,"include":["message.output_text.logprobs"]}`).body
	if !strings.Contains(hidden, `"logprobs":[{"token":"s"`) {
		t.Errorf("probabilities of other tokens than the text's: %s", hidden)
	}
	cut := send(t, ts, "POST", "/v1/responses", `{"input":"q","max_output_tokens":13}`).body
	if !strings.Contains(cut, `"status":"incomplete","store"`) || !strings.Contains(cut, `"incomplete_details":{"reason":"max_output_tokens"}`) || !strings.Contains(cut, `"status":"incomplete","type":"message"`) {
		t.Errorf("got %s", cut)
	}
}

// A conversation goes on from a response that is kept, of the same key.
func TestResponsesAreKept(t *testing.T) {
	s := &script{text: "b\x00", finish: loopctl.FinishStop}
	m := model("adder", &generator{submit: s.submit})
	m.ChatTemplate, m.Context = `{%- for m in messages -%}<{{ m.role }}>{{ m.content }}{%- endfor -%}`, 512
	srv := server.New(server.Config{APIKeys: []string{"sesame", "other"}}, quiet(), nil)
	if err := srv.SetModels(m); err != nil {
		t.Fatal(err)
	}
	ts := newTestServer(t, srv)
	ask := func(body, key string) answer {
		return send(t, ts, "POST", "/v1/responses", body, "Authorization", "Bearer "+key)
	}
	id := func(a answer) string { return regexp.MustCompile(`resp_[^"]+`).FindString(a.body) }
	read := func() string {
		prompt, _ := letters{}.Decode(s.requests[len(s.requests)-1].Prompt, false)
		return prompt
	}
	first := ask(`{"input":"a","instructions":"i"}`, "sesame")
	second := ask(`{"input":"c","previous_response_id":"`+id(first)+`"}`, "sesame")
	if got := read(); got != "<user>a<assistant>b<user>c" {
		t.Errorf("the second turn read %q", got)
	}
	ask(`{"input":"d","stream":true,"previous_response_id":"`+id(second)+`"}`, "sesame")
	if got := read(); got != "<user>a<assistant>b<user>c<assistant>b<user>d" {
		t.Errorf("the third turn read %q", got)
	}
	message := regexp.MustCompile(`msg_[^"]+`).FindString(first.body)
	ask(`{"input":[{"type":"item_reference","id":"`+message+`"},{"role":"user","content":"e"}]}`, "sesame")
	if got := read(); got != "<assistant>b<user>e" {
		t.Errorf("after a reference it read %q", got)
	}
	d := readDocument(t, send(t, ts, "GET", "/openapi.json", "", "Authorization", "Bearer other").body)
	path := "/v1/responses/" + id(first)
	for _, tt := range []struct {
		method, key string
		status      int
	}{{"GET", "other", 404}, {"GET", "sesame", 200}, {"DELETE", "sesame", 200}, {"DELETE", "sesame", 404}, {"GET", "sesame", 404}} {
		a := send(t, ts, tt.method, path, "", "Authorization", "Bearer "+tt.key)
		if d.conforms(t, tt.method, path, a); a.status != tt.status || a.status == 200 && tt.method == "GET" && a.body != first.body {
			t.Errorf("%s: %d %s", tt.method, a.status, a.body)
		}
	}
	for _, body := range []string{`{"input":"c","previous_response_id":"` + id(first) + `"}`, `{"input":"c","previous_response_id":"` + id(ask(`{"input":"a","store":false}`, "sesame")) + `"}`} {
		if a := ask(body, "sesame"); a.status != 400 || !strings.Contains(a.body, `"param":"previous_response_id","code":"previous_response_not_found"`) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	oldest := id(ask(`{"input":"a"}`, "other"))
	for range 1000 {
		ask(`{"input":"a"}`, "other")
	}
	if a := send(t, ts, "GET", "/v1/responses/"+oldest, "", "Authorization", "Bearer other"); a.status != 404 {
		t.Errorf("the oldest of 1001 is still there: %s", a.body)
	}
	if a := ask(`{"input":"c","previous_response_id":"`+id(second)+`"}`, "sesame"); a.status != 200 {
		t.Errorf("another key's responses pushed one out: %s", a.body)
	}
}

func TestMessages(t *testing.T) {
	s := &script{text: "hm</think>so:\n" + oneCall + "\x00", finish: loopctl.FinishStop}
	ts := serveThinking(t, s, letters{})
	d := readDocument(t, send(t, ts, "GET", "/openapi.json", "").body)
	const ask = `{"max_tokens":100,"messages":[{"role":"user","content":"q"}],` + schemaTools
	whole := send(t, ts, "POST", "/v1/messages", ask+"}")
	d.conforms(t, "POST", "/v1/messages", whole)
	for _, part := range []string{
		`[{"signature":"","thinking":"hm","type":"thinking"},{"text":"so:","type":"text"},{"id":"call_`, `"input":{"x":1},"name":"add","type":"tool_use"}]`, `"stop_reason":"tool_use"`,
	} {
		if !strings.Contains(whole.body, part) {
			t.Errorf("no %s in %s", part, whole.body)
		}
	}
	events, _ := told(t, send(t, ts, "POST", "/v1/messages", ask+`,"stream":true}`).body)
	want := []string{
		"message_start", "ping", "content_block_start", "content_block_delta thinking_delta hm", "content_block_stop",
		"content_block_start", "content_block_delta text_delta so:", "content_block_stop",
		"content_block_start", `content_block_delta input_json_delta {"x": 1}`, "content_block_stop", "message_delta <nil>", "message_stop",
	}
	if fmt.Sprint(events) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", events, want)
	}
	for _, tt := range []struct{ fields, want string }{
		{`"stop_sequences":["m"]`, `"stop_reason":"stop_sequence","stop_sequence":"m"`},
		{`"max_tokens":3`, `"stop_reason":"max_tokens","stop_sequence":null`},
		{`"max_tokens":1000000`, `"stop_reason":"end_turn","stop_sequence":null`}, // what the context leaves
		{`"thinking":{"type":"enabled","budget_tokens":9}`, `"warnings":["thinking.budget_tokens has no effect`},
	} {
		if !strings.Contains(tt.fields, "max_tokens\"") {
			tt.fields += `,"max_tokens":100`
		}
		if a := send(t, ts, "POST", "/v1/messages", `{"messages":[{"role":"user","content":"q"}],`+tt.fields+`}`); !strings.Contains(a.body, tt.want) {
			t.Errorf("%s: %s", tt.fields, a.body)
		}
	}
	count := send(t, ts, "POST", "/v1/messages/count_tokens", ask+"}")
	if d.conforms(t, "POST", "/v1/messages/count_tokens", count); !strings.Contains(whole.body, count.body[1:len(count.body)-1]) {
		t.Errorf("counted %s, and the answer says %s", count.body, whole.body)
	}
}

// What is wrong is named in the client's own words, and told in the route's own form.
func TestDialectsRefuse(t *testing.T) {
	s := &script{text: "a", finish: loopctl.FinishLength}
	ts, _ := serve(t, s, server.Config{APIKeys: []string{"sesame"}})
	d := readDocument(t, send(t, ts, "GET", "/openapi.json", "", "x-api-key", "sesame").body)
	const q = `"messages":[{"role":"user","content":"q"}]`
	for _, tt := range []struct {
		path, body, param, code, message string
		status                           int
	}{
		{"responses", `{}`, "input", "missing_field", "input is missing", 400},
		{"responses", `{"input":"q","loops":99}`, "loops", "loops_out_of_range", "loops is 99", 400},
		{"responses", `{"input":"q","max_tokens":3}`, "max_tokens", "unsupported_field", "set max_output_tokens", 400},
		{"responses", `{"input":"q","truncation":"auto"}`, "truncation", "unsupported_field", "shorten input", 400},
		{"responses", `{"input":"q","truncation":"disabled","background":false,"text":{"verbosity":"medium"}}`, "", "", "", 200},
		{"responses", `{"input":"q","text":{"verbosity":"low"}}`, "text.verbosity", "unsupported_field", "leave the field out", 400},
		{"responses", `{"input":"q","max_output_tokens":500}`, "max_output_tokens", "context_length_exceeded", "lower max_output_tokens to 63", 400},
		{"responses", `{"input":[{"role":"user","content":"q"},{"role":"user","content":[{"type":"input_image"}]}]}`, "input", "unsupported_field", "input[1].content[0] is of type", 400},
		{"responses", `{"input":"q","text":{"format":{"type":"json_schema"}}}`, "text.format", "missing_field", "text.format.schema is missing", 400},
		{"responses", `{"input":"q","text":{"format":{"type":"xml"}}}`, "text.format.type", "invalid_value", "text.format.type is", 400},
		{"responses", `{"input":"q","model":"nobody"}`, "model", "model_not_found", "nobody", 404},
		{"messages", `{` + q + `}`, "max_tokens", "missing_field", "max_tokens is missing", 400},
		{"messages", `{` + q + `,"max_tokens":9,"loops":99}`, "loops", "loops_out_of_range", "loops is 99", 400},
		{"messages", `{` + q + `,"max_tokens":9,"stop":["a"]}`, "stop", "unsupported_field", "set stop_sequences", 400},
		{"messages", `{` + q + `,"max_tokens":9,"stop_sequences":[""]}`, "stop_sequences", "invalid_value", "stop_sequences is empty", 400},
		{"messages", `{` + q + `,"max_tokens":9,"mcp_servers":[{}]}`, "mcp_servers", "unsupported_field", "tools that the client runs", 400},
		{"messages", `{"messages":[{"role":"user","content":[]},{"role":"user","content":[{"type":"document"}]}],"max_tokens":9}`, "messages", "unsupported_field", "messages[1].content[0] is of type", 400},
		{"messages", `{` + q + `,"max_tokens":9,"model":"nobody"}`, "model", "model_not_found", "nobody", 404},
		{"messages/count_tokens", `{"messages":[]}`, "messages", "empty_prompt", "empty list", 400},
	} {
		path := "/v1/" + tt.path
		a := send(t, ts, "POST", path, tt.body, "x-api-key", "sesame")
		d.conforms(t, "POST", path, a)
		var e struct {
			Type  string
			Error *struct{ Message, Param, Code string }
		}
		if err := json.Unmarshal([]byte(a.body), &e); err != nil {
			t.Fatal(err)
		}
		if a.status != tt.status || tt.status != 200 && (e.Error == nil || e.Error.Param != tt.param || e.Error.Code != tt.code || !strings.Contains(e.Error.Message, tt.message)) {
			t.Errorf("%s %s: %d %s", tt.path, tt.body, a.status, a.body)
		}
		if isAnthropic := e.Type == "error"; isAnthropic != strings.HasPrefix(tt.path, "messages") {
			t.Errorf("%s: %s", tt.path, a.body)
		}
	}
	a := send(t, ts, "POST", "/v1/messages", `{}`, "x-api-key", "wrong")
	if d.conforms(t, "POST", "/v1/messages", a); a.status != 401 || !strings.Contains(a.body, `"authentication_error"`) || a.header.Get("Request-Id") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// An engine that fails in the middle of a stream.
func TestDialectsFail(t *testing.T) {
	fails := func(t *testing.T) *httptest.Server {
		s := &script{text: "abc", finish: loopctl.FinishError, err: loopctl.ErrEngine}
		ts, _ := serve(t, s, server.Config{})
		return ts
	}
	events, last := told(t, send(t, fails(t), "POST", "/v1/responses", `{"input":"q","stream":true}`).body)
	if events[len(events)-1] != "response.failed" || !strings.Contains(last, `"message":"the model's engine failed on this request`) {
		t.Errorf("%q %s", events, last)
	}
	if a := send(t, fails(t), "POST", "/v1/messages", `{}`, "Sec-Fetch-Site", "cross-site"); a.status != 403 || !strings.Contains(a.body, `"type":"permission_error"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	a := send(t, fails(t), "POST", "/v1/messages", `{"max_tokens":9,"messages":[{"role":"user","content":"q"}],"stream":true}`)
	if events, _ := told(t, a.body); events[len(events)-1] != "error" || !strings.Contains(a.body, `"type":"api_error"`) {
		t.Errorf("%q", events)
	}
	if a := send(t, fails(t), "POST", "/v1/responses", `{"input":"q"}`); a.status != 500 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestFacts(t *testing.T) {
	ts, _ := serve(t, &script{}, server.Config{Version: "v1"})
	d := readDocument(t, send(t, ts, "GET", "/openapi.json", "").body)
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/load", `{"server_load":0}`},
		{"GET", "/ping", `{"status":"ready"}`},
		{"POST", "/ping", `{"status":"ready"}`},
		{"GET", "/server_info", `{"body_limit":4194304,"limits":{"loop_steps":67108864,"n":128,"prompts":128,"sequences":128,"stop":16,"stop_token_ids":64},"version":"v1"}`},
	} {
		a := send(t, ts, tt.method, tt.path, "")
		if d.conforms(t, tt.method, tt.path, a); a.body != tt.want {
			t.Errorf("%s: %s", tt.path, a.body)
		}
	}
}

// Whatever the body, on the other routes that take one: no 5xx, and an answer in JSON, or a stream.
func FuzzDialects(f *testing.F) {
	routes := []string{"/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/v1/embeddings", "/tokenize", "/detokenize"}
	for _, seed := range []string{
		`{"input":"a","max_tokens":2,"messages":[{"role":"user","content":"a"}],"prompt":"a","tokens":[97]}`,
		`{"input":["a",[1]],"stream":true,"max_tokens":2,"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"system":"b","return_token_strs":true}`,
		`{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]}],` + flatTools + `,"tool_choice":"required"}`,
		`{"input":[{"type":"function_call","call_id":"c","name":"add","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"1"}],"instructions":"x"}`,
		`{"max_tokens":2,` + schemaTools + `,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"1"}]}],"thinking":{"type":"enabled","budget_tokens":9}}`,
		`{"previous_response_id":"x","input":[{"type":"item_reference","id":"y"}]}`,
	} {
		for i := range routes {
			f.Add(uint(i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, route uint, body []byte) {
		s := &script{text: "ab\x00", finish: loopctl.FinishStop}
		w := httptest.NewRecorder()
		srv := serverOf(t, model("adder", &generator{submit: s.submit}))
		srv.ServeHTTP(w, httptest.NewRequest("POST", routes[route%uint(len(routes))], bytes.NewReader(body)))
		s.wg.Wait()
		if stream := strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"); w.Code >= 500 || !stream && !json.Valid(w.Body.Bytes()) {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}
