package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

type wireError struct {
	Error struct {
		Message, Type string
		Param, Code   *string
	}
}

func str(p *string) string {
	if p == nil {
		return "null"
	}
	return *p
}

func checkError(t *testing.T, a answer, status int, code, param, message string) {
	t.Helper()
	var e wireError
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("status %d, not OpenAI's shape: %q", a.status, a.body)
	}
	if a.status != status || str(e.Error.Code) != code || str(e.Error.Param) != param {
		t.Errorf("got %d %s %s, want %d %s %s", a.status, str(e.Error.Code), str(e.Error.Param), status, code, param)
	}
	if e.Error.Message != message {
		t.Errorf("message\n got %s\nwant %s", e.Error.Message, message)
	}
	if a.header.Get("X-Request-Id") == "" {
		t.Error("no X-Request-Id")
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"f%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestBadInput(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	ts, _ := serve(t, s, server.Config{})
	const bad = http.StatusBadRequest
	loops := func(shown, more string) string {
		return "loops is " + shown + ": model adder takes an integer from 1 to 12" + more
	}
	gone := func(field, shown, remedy string) string {
		return field + " is " + shown + ": the field is not supported by this version: " + remedy
	}
	const out = "leave the field out"
	tests := []struct {
		body        string // fields beside the prompt, or a whole body where it doesn't start with a quote
		status      int
		code, param string
		message     string
	}{
		{`"prompt_embeds":"x"`, bad, "unsupported_field", "prompt_embeds", gone("prompt_embeds", `"x", a string`, "send text or token ids")},
		// loops
		{`"loops":0`, bad, "loops_out_of_range", "loops", loops("0", "")},
		{`"loops":-1`, bad, "loops_out_of_range", "loops", loops("-1", "")},
		{`"loops":1e9`, bad, "loops_out_of_range", "loops", loops("1e9", "")},
		{`"loops":1e999`, bad, "loops_out_of_range", "loops", loops("1e999", "")},
		{`"loops":2.5`, bad, "loops_out_of_range", "loops", loops("2.5", "")},
		{`"loops":"8"`, bad, "loops_out_of_range", "loops", loops(`"8", a string`, ", without quotes")},
		{`"loops":"many"`, bad, "loops_out_of_range", "loops", loops(`"many", a string`, "")},
		{`"loops":true`, bad, "loops_out_of_range", "loops", loops("true", "")},
		{`"loops":[8]`, bad, "loops_out_of_range", "loops", loops("a list", "")},
		{`"loops":13`, bad, "loops_out_of_range", "loops", loops("13", "")},
		{`"loops":2.5,"loops_clamp":true`, bad, "loops_out_of_range", "loops", loops("2.5", "")},
		{`"num_loops":8`, bad, "unknown_field", "num_loops", `field "num_loops" is not known here: the field is "loops"`},
		{`"total_ut_steps":8`, bad, "unknown_field", "total_ut_steps", `field "total_ut_steps" is not known here: the field is "loops"`},
		{`"mean_recurrence":8`, bad, "unknown_field", "mean_recurrence", `field "mean_recurrence" is not known here: the field is "loops"`},
		{`"Loops":8`, bad, "unknown_field", "Loops", `field "Loops" is not known here: the field is "loops"`},
		{`"exit_treshold":0.2`, bad, "unknown_field", "exit_treshold", `field "exit_treshold" is not known here: the field is "exit_threshold"`},
		{`"return-loops":true`, bad, "unknown_field", "return-loops", `field "return-loops" is not known here: the field is "return_loops"`},
		{`"extra_body":{"loops":8}`, bad, "unknown_field", "extra_body", `extra_body is an option of client libraries, not a field of the body: put loops at the top level`},
		{`"model":"adder@13"`, bad, "loops_out_of_range", "model", `model is "adder@13": after @ model adder takes an integer from 1 to 12, or auto`},
		{`"model":"adder@x"`, bad, "loops_out_of_range", "model", `model is "adder@x": after @ model adder takes an integer from 1 to 12, or auto`},
		// other fields
		{`"max_tokens":0`, bad, "invalid_value", "max_tokens", "max_tokens is 0: it must be at least 1, unless echo or prompt_logprobs is set"},
		{`"max_tokens":-5`, bad, "invalid_value", "max_tokens", "max_tokens is -5: it must be an integer, at least 0"},
		{`"max_tokens":"5"`, bad, "invalid_type", "max_tokens", `max_tokens is "5", a string: it must be an integer, at least 0`},
		{`"max_tokens":64`, bad, "context_length_exceeded", "max_tokens", "prompt has 1 tokens and max_tokens is 64: model adder has a context of 64 tokens for both together: lower max_tokens to 63 or shorten the prompt"},
		{`"max_tokens":1e18`, bad, "invalid_value", "max_tokens", "max_tokens is 1e18: it must be an integer, at least 0"},
		{`"n":0`, bad, "invalid_value", "n", "n is 0: it must be an integer from 1 to 128"},
		{`"n":1000000`, bad, "invalid_value", "n", "n is 1000000: it must be an integer from 1 to 128"},
		{`"temperature":-1`, bad, "invalid_value", "temperature", "temperature is -1: it must be a number from 0 to 100"},
		{`"temperature":"hot"`, bad, "invalid_type", "temperature", `temperature is "hot", a string: it must be a number from 0 to 100`},
		{`"top_p":0`, bad, "invalid_value", "top_p", "top_p is 0: it must be a number above 0 and at most 1; for greedy choice set temperature to 0"},
		{`"top_k":-2`, bad, "invalid_value", "top_k", "top_k is -2: it must be an integer, at least -1"},
		{`"min_p":2`, bad, "invalid_value", "min_p", "min_p is 2: it must be a number from 0 to 1"},
		{`"seed":"a"`, bad, "invalid_type", "seed", `seed is "a", a string: it must be an integer`},
		{`"stream":1`, bad, "invalid_type", "stream", "stream is 1: it must be true or false"},
		{`"stream_options":{"include_usage":true}`, bad, "invalid_value", "stream_options", `stream_options has no effect without "stream": true: set stream, or leave stream_options out`},
		{`"stream":true,"stream_options":{"include_usage":1}`, bad, "invalid_type", "stream_options.include_usage", "stream_options.include_usage is 1: it must be true or false"},
		{`"stop":""`, bad, "invalid_value", "stop", "stop is empty: leave it out, or give at least one character"},
		{`"stop":["a",""]`, bad, "invalid_value", "stop", "stop[1] is empty: each stop string needs at least one character"},
		{`"stop":["a",7]`, bad, "invalid_type", "stop", "stop is a list: it must be a string or a list of strings"},
		{`"stop":[` + strings.Repeat(`"a",`, 16) + `"a"]`, bad, "invalid_value", "stop", "stop has 17 strings: at most 16 are allowed"},
		{`"stop":"` + strings.Repeat("a", 257) + `"`, bad, "invalid_value", "stop", "stop[0] has 257 bytes: at most 256 are allowed"},
		{`"stop_token_ids":[256]`, bad, "token_id_out_of_range", "stop_token_ids", "stop_token_ids[0] is 256: token ids go from 0 to 255"},
		{`"echo":1`, bad, "invalid_type", "echo", "echo is 1: it must be true or false"},
		{`"logprobs":21`, bad, "invalid_value", "logprobs", "logprobs is 21: it must be an integer from 0 to 20"},
		{`"logprobs":true`, bad, "invalid_type", "logprobs", "logprobs is true: it must be an integer from 0 to 20"},
		{`"prompt_logprobs":1,"stream":true`, bad, "conflicting_fields", "prompt_logprobs", "prompt_logprobs and stream exclude each other: use echo with logprobs, or leave stream out"},
		{`"logit_bias":{"256":1}`, bad, "token_id_out_of_range", "logit_bias", `logit_bias names token "256": token ids go from 0 to 255`},
		{`"logit_bias":{"5":101}`, bad, "invalid_value", "logit_bias", "logit_bias of token 5 is 101: it must be a number from -100 to 100"},
		{`"logit_bias":[5]`, bad, "invalid_type", "logit_bias", "logit_bias is a list: it must be an object of token ids with numbers from -100 to 100"},
		{`"presence_penalty":2.5`, bad, "invalid_value", "presence_penalty", "presence_penalty is 2.5: it must be a number from -2 to 2"},
		{`"frequency_penalty":"a"`, bad, "invalid_type", "frequency_penalty", `frequency_penalty is "a", a string: it must be a number from -2 to 2`},
		{`"repetition_penalty":0`, bad, "invalid_value", "repetition_penalty", "repetition_penalty is 0: it must be a number above 0 and at most 100; 1 changes nothing"},
		{`"min_tokens":17`, bad, "invalid_value", "min_tokens", "min_tokens is 17 and max_tokens is 16: min_tokens must not exceed it"},
		{`"allowed_token_ids":[300]`, bad, "token_id_out_of_range", "allowed_token_ids", "allowed_token_ids[0] is 300: token ids go from 0 to 255"},
		{`"suffix":"x"`, bad, "unsupported_field", "suffix", gone("suffix", `"x", a string`, out)},
		{`"n_predict":64`, bad, "unsupported_field", "n_predict", gone("n_predict", "64", "set max_tokens")},
		{`"repeat_penalty":1.3`, bad, "unsupported_field", "repeat_penalty", gone("repeat_penalty", "1.3", "set repetition_penalty")},
		{`"mirostat":2`, bad, "unsupported_field", "mirostat", gone("mirostat", "2", out)},
		{`"best_of":1,"n":2`, bad, "invalid_value", "best_of", "best_of is 1 and n is 2: best_of must be at least n"},
		{`"best_of":4,"stream":true`, bad, "conflicting_fields", "best_of", "best_of is 4 and stream is true: the best are known only at the end: leave one of the two out"},
		{`"model":"nope"`, http.StatusNotFound, "model_not_found", "model", `model "nope" is not served here: use one of adder`},
		{`"model":7`, bad, "invalid_type", "model", "model is 7: it must be a string"},
		{`"loops":1,"loops":2`, bad, "duplicate_field", "loops", `field "loops" is given twice: give it once`},
		// prompts
		{`{}`, bad, "missing_field", "prompt", "prompt is missing: give a string, or a list of strings or token ids"},
		{`{"prompt":null}`, bad, "missing_field", "prompt", "prompt is missing: give a string, or a list of strings or token ids"},
		{`{"prompt":7}`, bad, "invalid_type", "prompt", "prompt is 7: it must be a string, a list of strings, a list of token ids or a list of such lists"},
		{`{"prompt":""}`, bad, "empty_prompt", "prompt", "prompt is empty: model adder needs at least one token to start from"},
		{`{"prompt":[]}`, bad, "empty_prompt", "prompt", "prompt is an empty list: give at least one prompt"},
		{`{"prompt":["a",""]}`, bad, "empty_prompt", "prompt", "prompt[1] is empty: model adder needs at least one token to start from"},
		{`{"prompt":["a",[1]]}`, bad, "invalid_type", "prompt", `prompt[1] is a list and prompt[0] is "a", a string: all must be of one kind: prompt is a string, a list of strings, a list of token ids or a list of such lists`},
		{`{"prompt":[1,2.5]}`, bad, "invalid_type", "prompt", "prompt[1] is 2.5: it must be a token id, an integer from 0 to 255"},
		{`{"prompt":[1,"2,3"]}`, bad, "invalid_type", "prompt", `prompt[1] is "2,3", a string: it must be a token id, an integer from 0 to 255`},
		{`{"prompt":[1,[2,3]]}`, bad, "invalid_type", "prompt", "prompt[1] is a list: it must be a token id, an integer from 0 to 255"},
		{`{"prompt":[1,null]}`, bad, "invalid_type", "prompt", "prompt[1] is null: it must be a token id, an integer from 0 to 255"},
		{`{"prompt":[1,-1]}`, bad, "token_id_out_of_range", "prompt", "prompt[1] is -1: token ids go from 0 to 255"},
		{`{"prompt":[[1],[99999999999]]}`, bad, "token_id_out_of_range", "prompt", "prompt[1][0] is 99999999999: token ids go from 0 to 255"},
		{`{"prompt":"☃"}`, bad, "cannot_tokenize", "prompt", `prompt cannot be tokenized: letter '☃' is unknown: change the text, or send token ids`},
		{`{"prompt":"` + strings.Repeat("a", 64) + `"}`, bad, "context_length_exceeded", "prompt", "prompt has 64 tokens: model adder has a context of 64 tokens for prompt and completion together: shorten the prompt to 63"},
		{`{"prompt":[` + strings.Repeat(`"a",`, 128) + `"a"]}`, bad, "request_too_large", "prompt", "prompt has more than 128 prompts: send several requests"},
		{`{"prompt":["a","b"],"best_of":100}`, bad, "request_too_large", "best_of", "2 prompts with best_of = 100 are 200 sequences: at most 128 per request: send several requests"},
		{`{"prompt":"a","best_of":2,"replay_loops":[1]}`, bad, "conflicting_fields", "replay_loops", "replay_loops and best_of exclude each other: it holds for one sequence: send one prompt with best_of = 1"},
		{`{"prompt":["a","b"],"n":100}`, bad, "request_too_large", "n", "2 prompts with n = 100 are 200 sequences: at most 128 per request: send several requests"},
		// not JSON
		{``, bad, "invalid_json", "null", "request body is not valid JSON: it is empty: send one JSON object"},
		{`hello`, bad, "invalid_json", "null", `request body is not valid JSON: it starts with "h", not with {: send one JSON object`},
		{`[1]`, bad, "invalid_json", "null", `request body is not valid JSON: it starts with "[", not with {: send one JSON object`},
		{`{"prompt":"a"`, bad, "invalid_json", "null", "request body is not valid JSON: unexpected end of JSON input (at byte 13): send one JSON object"},
		{`{"prompt":"a"} x`, bad, "invalid_json", "null", "request body is not valid JSON: invalid character 'x' after top-level value (at byte 16): send one JSON object"},
		{manyFields(257), bad, "too_many_fields", "null", "request body has more than 256 fields: send fewer"},
		{"{\"prompt\":\"\xff\"}", bad, "invalid_json", "null", "request body is not valid JSON: it is not UTF-8: send one JSON object"},
		{`{"x":` + strings.Repeat("[", 100000) + `}`, bad, "invalid_json", "null", "request body is not valid JSON: it is nested deeper than 64 levels: send one JSON object"},
	}
	for _, tt := range tests {
		body := tt.body
		if strings.HasPrefix(body, `"`) {
			body = `{"prompt":"x",` + body + `}`
		}
		t.Run(body[:min(len(body), 60)], func(t *testing.T) {
			checkError(t, post(t, ts, body), tt.status, tt.code, tt.param, tt.message)
		})
	}
	if n, _ := s.count(); n != 0 {
		t.Errorf("%d requests reached the engine", n)
	}
	decode(t, post(t, ts, `{"prompt":"x"}`)) // the server goes on
}

func TestBadTransport(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	ts, _ := serve(t, s, server.Config{BodyLimit: 1000})
	t.Run("10 MB body", func(t *testing.T) {
		a := post(t, ts, `{"prompt":"`+strings.Repeat("a", 10<<20)+`"}`)
		checkError(t, a, http.StatusRequestEntityTooLarge, "body_too_large", "null",
			"request body is larger than 1000 bytes: send less, or raise body_limit in the configuration")
	})
	t.Run("one byte too many", func(t *testing.T) {
		if a := post(t, ts, strings.Repeat(" ", 1001)); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", a.status)
		}
	})
	t.Run("media type", func(t *testing.T) {
		a := post(t, ts, `{"prompt":"a"}`, "Content-Type", "multipart/form-data; boundary=x")
		checkError(t, a, http.StatusUnsupportedMediaType, "unsupported_media_type", "null",
			`Content-Type is "multipart/form-data; boundary=x": send the body as application/json`)
	})
	t.Run("content coding", func(t *testing.T) {
		a := post(t, ts, "\x1f\x8b", "Content-Encoding", "gzip")
		checkError(t, a, http.StatusUnsupportedMediaType, "unsupported_media_type", "null", `Content-Encoding is "gzip": send the body uncompressed`)
		if a := post(t, ts, `{"prompt":"a"}`, "Content-Encoding", "identity"); a.status != 200 {
			t.Errorf("identity: %d %s", a.status, a.body)
		}
	})
	t.Run("X-Loops", func(t *testing.T) {
		checkError(t, post(t, ts, `{"prompt":"a"}`, "X-Loops", "deep"), 400, "loops_out_of_range", "loops",
			`header X-Loops is "deep", a string: model adder takes an integer from 1 to 12`)
	})
	t.Run("route", func(t *testing.T) {
		checkError(t, send(t, ts, "GET", "/v2/x", ""), 404, "unknown_route", "null",
			`no route GET "/v2/x": the routes are under /v1, see docs/api.md`)
		for path, nearest := range map[string]string{
			"/completions": "/v1/completions", "/chat/completions": "/v1/chat/completions", "/v1/v1/responses": "/v1/responses", "/models": "/v1/models",
			"/v1/chat/completion": "/v1/chat/completions", "/v1/message": "/v1/messages", "/tokenise": "/tokenize", "/api/chat": "/v1/chat/completions",
		} {
			if a := send(t, ts, "POST", path, "{}"); a.status != 404 || !strings.Contains(a.body, "the nearest is "+nearest+";") {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	})
	t.Run("method", func(t *testing.T) {
		a := send(t, ts, "GET", "/v1/completions", "")
		checkError(t, a, 405, "method_not_allowed", "null", `method "GET" is not allowed on "/v1/completions": use POST`)
		if a.header.Get("Allow") != "POST" {
			t.Errorf("Allow %q", a.header.Get("Allow"))
		}
	})
}

// Errors of the engine's side, as the table in errors.go maps them.
func TestEngineErrors(t *testing.T) {
	tests := []struct {
		err         error
		status      int
		code, param string
		message     string
		header      string // of those that tell whether to retry
	}{
		{fmt.Errorf("%w: 256 requests wait", loopctl.ErrQueueFull), 503, "queue_full", "null", "queue is full: 256 requests wait", "2 1500 "},
		{loopctl.ErrDraining, 503, "draining", "null", "the server is shutting down and accepts no new requests: try another instance, or retry when it is back", "2 1500 "},
		{fmt.Errorf("%w: too long", loopctl.ErrPromptTooLong), 400, "context_length_exceeded", "prompt", "prompt too long: too long", "  "},
		{fmt.Errorf("%w: 9 of 8", loopctl.ErrPagesExhausted), 400, "kv_memory_exceeded", "max_tokens", "not enough KV pages: 9 of 8", "  "},
		{&loopctl.FieldError{Field: "loops", Value: 9, Why: "this model takes 1 to 8"}, 400, "loops_out_of_range", "loops", "loops is 9: this model takes 1 to 8", "  "},
		{fmt.Errorf("block: %w: /secret/path", loopctl.ErrEngine), 500, "engine_error", "null", "the model's engine failed on this request; other requests are not affected", "  false"},
		{errors.New("/secret/path"), 500, "internal_error", "null", "internal error; the server's log has the details under this request's id", "  false"},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			srv := server.New(server.Config{}, nil, nil)
			g := &generator{
				submit:   func(...*loopctl.Request) ([]*loopctl.Stream, error) { return nil, tt.err },
				snapshot: func() loopctl.Snapshot { return loopctl.Snapshot{Backlog: 1500, SecondsPerLoopStep: 0.001} },
			}
			if err := srv.SetModels(model("adder", g)); err != nil {
				t.Fatal(err)
			}
			ts := httptest.NewServer(srv)
			defer ts.Close()
			a := post(t, ts, `{"prompt":"x"}`)
			checkError(t, a, tt.status, tt.code, tt.param, tt.message)
			got := a.header.Get("Retry-After") + " " + a.header.Get("retry-after-ms") + " " + a.header.Get("x-should-retry")
			if got != tt.header {
				t.Errorf("retry headers %q, want %q", got, tt.header)
			}
		})
	}
}

// A failure after the sequence was accepted, and a panic of the model's side.
func TestLateFailures(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishError, err: loopctl.ErrEngine}
	ts, _ := serve(t, s, server.Config{})
	a := post(t, ts, `{"prompt":"x"}`)
	if a.status != 500 || !strings.Contains(a.body, "engine_error") {
		t.Errorf("%d %s", a.status, a.body)
	}
	srv := server.New(server.Config{}, nil, nil)
	if err := srv.SetModels(model("adder", &generator{submit: func(...*loopctl.Request) ([]*loopctl.Stream, error) { panic("boom") }})); err != nil {
		t.Fatal(err)
	}
	broken := httptest.NewServer(srv)
	defer broken.Close()
	a = post(t, broken, `{"prompt":"x"}`)
	if a.status != 500 || strings.Contains(a.body, "boom") || a.header.Get("x-should-retry") != "false" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := send(t, broken, "GET", "/livez", ""); a.status != 200 {
		t.Errorf("status %d after a panic", a.status)
	}
}
