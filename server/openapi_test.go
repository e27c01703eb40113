package server_test

import (
	"bytes"
	"fmt"
	"mime"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/generate"
)

// document is /openapi.json, as a validator of answers.
type document struct {
	paths    map[string]any
	compiler *jsonschema.Compiler
}

func readDocument(t *testing.T, text string) *document {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("https://loopserve/openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return &document{paths: doc.(map[string]any)["paths"].(map[string]any), compiler: c}
}

var parameter = regexp.MustCompile(`\\\{\w+\\\}`)

// conforms checks an answer against what the document says of its route, status and content type.
func (d *document) conforms(t *testing.T, method, url string, a answer) {
	t.Helper()
	path, _, _ := strings.Cut(url, "?")
	for template, operations := range d.paths {
		if !regexp.MustCompile("^" + parameter.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$").MatchString(path) {
			continue
		}
		operation, ok := operations.(map[string]any)[strings.ToLower(method)].(map[string]any)
		if !ok {
			continue
		}
		where := []string{"paths", template, strings.ToLower(method), "responses", fmt.Sprint(a.status)}
		response, ok := operation["responses"].(map[string]any)[fmt.Sprint(a.status)].(map[string]any)
		if !ok {
			t.Errorf("%s %s: status %d is not described: %s", method, url, a.status, a.body)
			return
		}
		if ref, ok := response["$ref"].(string); ok {
			where = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
		}
		kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
		if err != nil {
			t.Errorf("%s %s: %v", method, url, err)
			return
		}
		if kind == "text/event-stream" { // events are checked one by one
			return
		}
		d.valid(t, append(where, "content", kind, "schema"), kind, a.body)
		return
	}
	t.Errorf("%s %s is not described", method, url)
}

func (d *document) valid(t *testing.T, where []string, kind, body string) {
	t.Helper()
	for i, part := range where {
		where[i] = strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(part)
	}
	schema, err := d.compiler.Compile("https://loopserve/openapi.json#/" + strings.Join(where, "/"))
	if err != nil {
		t.Errorf("no schema for %s: %v", strings.Join(where, " "), err)
		return
	}
	var v any = body
	if kind == "application/json" {
		if v, err = jsonschema.UnmarshalJSON(strings.NewReader(body)); err != nil {
			t.Error(err)
			return
		}
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%v\nof %.600s", err, body)
	}
}

// What real handlers answer is what the document says, errors too.
func TestAnswersAreAsDescribed(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	d := readDocument(t, send(t, ts, "GET", "/openapi.json", "").body)
	for _, tt := range []struct {
		method, url, body string
		status            int
	}{
		{"GET", "/", "", 200},
		{"GET", "/livez", "", 200},
		{"GET", "/readyz", "", 200},
		{"GET", "/ready", "", 200},
		{"GET", "/health", "", 200},
		{"GET", "/version", "", 200},
		{"GET", "/metrics", "", 200},
		{"GET", "/openapi.json", "", 200},
		{"GET", "/v1/models", "", 200},
		{"GET", "/v1/models/adder@auto", "", 200},
		{"GET", "/v1/models/nobody", "", 404},
		{"GET", "/tokenizer_info", "", 200},
		{"GET", "/tokenizer_info?model=nobody", "", 404},
		{"POST", "/tokenize", `{"prompt":"ab","return_token_strs":true}`, 200},
		{"POST", "/tokenize", `{"messages":[{"role":"user","content":"ab"}]}`, 200},
		{"POST", "/tokenize", `{`, 400},
		{"POST", "/detokenize", `{"tokens":[97]}`, 200},
		{"POST", "/detokenize", `{"tokens":[-1]}`, 400},
		{"POST", "/v1/completions", `{"prompt":"ab"}`, 200},
		{"POST", "/v1/completions", `{"prompt":["ab","cd"],"n":2,"loops":3,"return_loops":true,"return_lens":2,"logprobs":2,"echo":true,"seed":1}`, 200},
		{"POST", "/v1/completions", `{"prompt":[97],"prompt_logprobs":1,"max_tokens":3,"stop":"q","loops":8,"draft_loops":2,"temperature":0}`, 200},
		{"POST", "/v1/completions", `{"prompt":"ab","loops":99}`, 400},
		{"POST", "/v1/completions", `{"prompt":"ab","model":"nobody"}`, 404},
		{"POST", "/v1/completions", `{"prompt":"ab","stream":true}`, 200},
		{"POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"ab"}],"max_tokens":4,"logprobs":true,"top_logprobs":2,"return_loops":true,"return_lens":1,"timings":true}`, 200},
		{"POST", "/v1/chat/completions", `{"messages":[]}`, 400},
		{"POST", "/v1/embeddings", `{"input":"ab"}`, 400}, // the scripted engine has no latents that could be read
		{"GET", "/v1/depth/curve", "", 404},
		{"GET", "/v1/depth/curve?format=gif", "", 400},
		{"GET", "/v1/bench", "", 200},
		{"GET", "/v1/bench/none", "", 404},
		{"GET", "/v1/bench/none/plot.svg", "", 404},
		{"GET", "/v1/bench/none/events", "", 404},
		{"DELETE", "/v1/bench/none", "", 404},
		{"POST", "/v1/bench", `{"nonsense":1}`, 400},
	} {
		a := send(t, ts, tt.method, tt.url, tt.body)
		if a.status != tt.status {
			t.Errorf("%s %s: status %d, want %d: %s", tt.method, tt.url, a.status, tt.status, a.body)
		}
		d.conforms(t, tt.method, tt.url, a)
	}
	d.conforms(t, "POST", "/v1/completions", send(t, ts, "POST", "/v1/completions", `{}`, "Content-Type", "image/png"))
}

// A benchmark's whole life: begun, looked at, plotted, deleted.
func TestBenchIsAsDescribed(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	d := readDocument(t, send(t, ts, "GET", "/openapi.json", "").body)
	a := send(t, ts, "POST", "/v1/bench", `{"loops":[1,2],"prompt_tokens":[3],"max_tokens":[3],"runs":1}`)
	d.conforms(t, "POST", "/v1/bench", a)
	id := regexp.MustCompile(`bench-\w+`).FindString(a.body)
	events := send(t, ts, "GET", "/v1/bench/"+id+"/events", "") // until it is done
	d.conforms(t, "GET", "/v1/bench/"+id+"/events", events)
	for data := range eventData(events.body) {
		d.valid(t, []string{"components", "schemas", "Bench"}, "application/json", data)
	}
	for _, rest := range []string{"", "?format=csv", "?format=benchstat", "?format=gif", "/plot.svg", "/plot.svg?kind=throughput"} {
		d.conforms(t, "GET", "/v1/bench/"+id+rest, send(t, ts, "GET", "/v1/bench/"+id+rest, ""))
	}
	d.conforms(t, "GET", "/v1/bench", send(t, ts, "GET", "/v1/bench", ""))
	d.conforms(t, "DELETE", "/v1/bench/"+id, send(t, ts, "DELETE", "/v1/bench/"+id, ""))
}

// Chunks of streams.
func TestChunksAreAsDescribed(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	d := readDocument(t, send(t, ts, "GET", "/openapi.json", "").body)
	const options = `"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"max_tokens":4,"return_loops":true,"return_lens":1`
	for _, tt := range []struct{ path, body, schema string }{
		{"/v1/completions", `{"prompt":"ab","logprobs":1,"timings":true,` + options + `}`, "Completion"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"ab"}],"logprobs":true,` + options + `}`, "ChatChunk"},
	} {
		a := send(t, ts, "POST", tt.path, tt.body)
		n := 0
		for data := range eventData(a.body) {
			d.valid(t, []string{"components", "schemas", tt.schema}, "application/json", data)
			n++
		}
		if n < 3 {
			t.Errorf("%s: %d chunks of %s", tt.path, n, a.body)
		}
	}
}

// Reasoning and calls, whole and in chunks.
func TestCallsAreAsDescribed(t *testing.T) {
	s := &script{text: "hm</think>" + oneCall + "\x00", finish: loopctl.FinishStop}
	ts := serveThinking(t, s, letters{})
	d := readDocument(t, send(t, ts, "GET", "/openapi.json", "").body)
	const body = `{"messages":[{"role":"user","content":"q"}],"tools":[` + addTool + `]`
	a := chat(t, ts, body+"}")
	d.conforms(t, "POST", "/v1/chat/completions", a)
	streamed := chat(t, ts, body+`,"stream":true}`)
	for data := range eventData(streamed.body) {
		d.valid(t, []string{"components", "schemas", "ChatChunk"}, "application/json", data)
	}
	for _, got := range []string{a.body, streamed.body} {
		if !strings.Contains(got, `"reasoning_content":"`) || !strings.Contains(got, `"tool_calls":[`) {
			t.Errorf("got %s", got)
		}
	}
}

// Answers of a server that cannot: loading, full, with keys.
func TestRefusalsAreAsDescribed(t *testing.T) {
	loading := newTestServer(t, server.New(server.Config{APIKeys: []string{"sesame-sesame"}}, quiet(), nil))
	d := readDocument(t, send(t, loading, "GET", "/openapi.json", "", "Authorization", "Bearer sesame-sesame").body)
	for _, path := range []string{"/readyz", "/v1/models", "/health"} {
		a := send(t, loading, "GET", path, "", "Authorization", "Bearer sesame-sesame")
		if a.status != 503 {
			t.Errorf("%s: %d", path, a.status)
		}
		d.conforms(t, "GET", path, a)
	}
	d.conforms(t, "GET", "/v1/models", send(t, loading, "GET", "/v1/models", ""))
	for _, err := range []error{loopctl.ErrQueueFull, loopctl.ErrDeadline, loopctl.ErrEngine, generate.ErrModelUnavailable} {
		g := &generator{submit: func(...*loopctl.Request) ([]*loopctl.Stream, error) { return nil, err }}
		srv := serverOf(t, model("adder", g))
		ts := newTestServer(t, srv)
		d.conforms(t, "POST", "/v1/completions", send(t, ts, "POST", "/v1/completions", `{"prompt":"ab"}`))
	}
}

// eventData gives the JSON of each event but [DONE].
func eventData(body string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for line := range bytes.Lines([]byte(body)) {
			data, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "data: ")
			if ok && data != "[DONE]" && !yield(data) {
				return
			}
		}
	}
}
