package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/server/api"
)

// What the table refuses the handlers refuse, with the same field named, and what it takes they take, but for what code
// knows better: each field of each route, at values of each JSON type. This test goes when all routes read the table.
func TestTableAndHandlersAgree(t *testing.T) {
	data, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]json.RawMessage }
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	others := []string{
		"suffix", "tools", "mirostat", "typical_p", "n_predict", "grammar", "lora", "stop_regex", "echo", "best_of", "functions", "function_call", "modalities",
		"num_loops", "exit_treshold", "verbosity", "replay_loops", "elastic", "return_lens",
	}
	values := []string{
		"null", "0", "1", "2", "-1", "5", "12", "13", "21", "129", "2.5", "2.0", "1e1", "1e999", "99999999999999999999", `""`, `"x"`, `"8"`, `"none"`, `"auto"`, `"delta"`,
		`"kl"`, `"mean"`, `"float"`, `"high"`, "true", "false", "[]", "[1]", "[1,1]", "[300]", `["a"]`, `["a",7]`, "[null]", "{}", `{"a":1}`, `{"type":"text"}`, `{"stream":1}`,
	}
	// Code reads these, or what the model says of them.
	codes := []string{
		"loops", "exit_policy", "exit_threshold", "exit_agree", "min_loops", "replay_loops", "draft_loops", "loop_budget", "return_lens",
		"logit_bias", "response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "json_schema", "regex", "choice", "stop",
		"max_tokens", "max_completion_tokens", "min_tokens", "best_of", "n", "model", "echo", "prompt", "input", "messages", "tools", "tool_choice", "documents",
		"chat_template_kwargs", "dimensions", "include_reasoning", "ignore_eos", "tokens", "reasoning_format", "add_generation_prompt", "allowed_token_ids", "elastic",
		"continue_final_message", "stop_token_ids", "reasoning_effort",
	}
	ts, _ := deepEngine(t)
	bounds := &api.Bounds{Limits: api.Limits{}.WithDefaults(), Model: "adder", Vocab: 256, Context: 64, MinLoops: 1, MaxLoops: 12}
	tried, both := 0, 0
	for _, r := range []struct {
		route               api.Route
		path, schema, least string
	}{
		{api.Completions, "/v1/completions", "CompletionRequest", `"prompt":"x"`},
		{api.Chat, "/v1/chat/completions", "ChatRequest", `"messages":[{"role":"user","content":"x"}]`},
		{api.Embeddings, "/v1/embeddings", "EmbeddingRequest", `"input":"x"`},
		{api.Tokenize, "/tokenize", "TokenizeRequest", `"prompt":"x"`},
		{api.Tokenize, "/tokenize", "TokenizeRequest", `"messages":[{"role":"user","content":"x"}]`},
		{api.Detokenize, "/detokenize", "DetokenizeRequest", `"tokens":[97]`},
	} {
		names := slices.Clone(others)
		for name := range doc.Components.Schemas[r.schema].Properties {
			names = append(names, name)
		}
		for _, name := range names {
			if name == "add_generation_prompt" && r.least == `"prompt":"x"` {
				continue // it was ignored beside a prompt
			}
			if name == "prompt" && r.path == "/tokenize" && r.least != `"prompt":"x"` {
				continue // it was ignored beside messages
			}
			for _, value := range values {
				body := fmt.Sprintf("{%q:%s,%s}", name, value, r.least)
				if strings.HasPrefix(r.least, fmt.Sprintf("%q:", name)) {
					body = fmt.Sprintf("{%q:%s}", name, value)
				}
				parsed, err := api.Parse([]byte(body))
				if err == nil {
					_, err = api.Decode(parsed, r.route, bounds)
				}
				a := send(t, ts, "POST", r.path, body)
				var w wireError
				if a.status != 200 {
					if json.Unmarshal([]byte(a.body), &w) != nil {
						if a.header.Get("Content-Type") == "text/event-stream" {
							continue
						}
						t.Fatalf("%s %s: %d %s", r.path, body, a.status, a.body)
					}
				}
				tried++
				object, _, _ := strings.Cut(str(w.Error.Param), ".")
				e, refused := errors.AsType[*api.Error](err)
				switch {
				case refused && a.status != e.Status, refused && str(w.Error.Param) != e.Param:
					t.Errorf("%s %s: the table says %s: %s, the handler %d %s", r.path, body, e.Param, e.Message, a.status, a.body)
				case !refused && a.status == 400 && !slices.Contains(codes, object):
					t.Errorf("%s %s: the table takes it, the handler says %s", r.path, body, a.body)
				case refused:
					both++
				}
			}
		}
	}
	t.Logf("%d bodies, %d refused by both", tried, both)
}
