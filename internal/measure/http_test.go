package measure_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
)

// upstream is an OpenAI server of few words: it answers every completion with the same events.
func upstream(t *testing.T, events string, seen *map[string]any) *measure.HTTP {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data":[{"id":"first"},{"id":"second"}]}`)
	})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Authorization") != "Bearer key" {
			http.Error(w, `{"error":{"message":"no"}}`, http.StatusUnauthorized)
			return
		}
		if seen != nil {
			if err := json.Unmarshal(data, seen); err != nil {
				t.Error(err)
			}
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range strings.Split(events, "\n") {
			fmt.Fprintf(w, "data: %s\n\n", e)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return &measure.HTTP{URL: s.URL + "/v1/", Key: "key", Client: s.Client()}
}

func TestHTTP(t *testing.T) {
	for _, tt := range []struct {
		name, events          string
		pieces, tokens, loops int
		drafted               int
		wrong                 string
	}{
		{"ours", `{"choices":[{"text":"a"}]}
{"choices":[{"text":"b","finish_reason":"length"}],"usage":null}
{"choices":[],"usage":{"completion_tokens":2,"completion_tokens_details":{"loops":{"total":7}}},"timings":{"drafted":3,"accepted":1}}
[DONE]`, 2, 2, 7, 3, ""},
		{"several tokens in a piece", `{"choices":[{"text":"a"}]}
{"choices":[{"text":"bcd"}]}
{"choices":[],"usage":{"completion_tokens":4}}
[DONE]`, 2, 4, 16, 0, ""},
		{"a last piece without a token", `{"choices":[{"text":"a"}]}
{"choices":[{"text":"","finish_reason":"length"}],"usage":{"completion_tokens":1}}
[DONE]`, 1, 1, 4, 0, ""},
		{"no usage", `{"choices":[{"text":"a"}]}
{"choices":[{"text":"b"}]}
[DONE]`, 2, 2, 8, 0, ""},
		{"error", `{"choices":[{"text":"a"}]}
{"error":{"message":"engine failed"}}
[DONE]`, 0, 0, 0, 0, "engine failed"},
		{"cut", `{"choices":[{"text":"a"}]}`, 0, 0, 0, 0, "ended before its end"},
		{"nothing", `[DONE]`, 0, 0, 0, 0, "no tokens"},
		{"noise", `hello`, 0, 0, 0, 0, "not a chunk: hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := upstream(t, tt.events, nil)
			s, err := h.Do(t.Context(), measure.Ask{Depth: measure.Depth{Loops: 4}, IDs: []int32{1, 2, 3}, MaxTokens: 2, Stream: true})
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("got %v, want %q", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Stamps) != tt.pieces || s.Tokens != tt.tokens || s.Loops != tt.loops || s.Drafted != tt.drafted || s.E2E < s.TTFT {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestHTTPBody(t *testing.T) {
	var seen map[string]any
	h := upstream(t, `{"choices":[{"text":"a"}]}`+"\n[DONE]", &seen)
	if err := h.Discover(t.Context()); err != nil || h.Model != "first" || h.Vocab != measure.DefaultVocab {
		t.Fatalf("%v: %+v", err, h)
	}
	h.Extra = map[string]any{"cache_prompt": false, "temperature": 1}
	ask := measure.Ask{
		Depth: measure.Depth{Loops: 4, Draft: 1, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: .1, MinLoops: 2}},
		IDs:   []int32{1, 2, 3}, MaxTokens: 2, IgnoreEOS: true, Stream: true, Seed: 7,
	}
	if _, err := h.Do(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	ids, _ := seen["prompt"].([]any)
	delete(seen, "prompt")
	got, err := json.Marshal(seen)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"cache_prompt":false,"draft_loops":1,"exit_policy":"delta","exit_threshold":0.1,"ignore_eos":true,"loops":4,"max_tokens":2,"min_loops":2,"model":"first","seed":7,"stream":true,"stream_options":{"include_usage":true},"temperature":1}`
	if string(got) != want || len(ids) != 3 {
		t.Errorf("%s, %d ids", got, len(ids))
	}
	h.Key = "other"
	if _, err := h.Do(t.Context(), ask); err == nil || !strings.Contains(err.Error(), "HTTP 401") {
		t.Errorf("got %v", err)
	}
}
