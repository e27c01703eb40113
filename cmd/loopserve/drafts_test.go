package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// A server may draft where a request leaves draft_loops out: whoever measures drafts says that there are to be none, and no
// other server is told of the field.
func TestPlainIsAskedForBesideDrafts(t *testing.T) {
	problems := filepath.Join(t.TempDir(), "few.jsonl")
	if err := os.WriteFile(problems, []byte(`{"prompt":"1+1=","answer":"2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want []any // values of draft_loops; nil: left out
	}{
		{"eval", []string{"eval", "--model", "m", "--problems", problems, "--loops", "4", "--timed", "0"}, []any{nil}},
		{"eval of a server with loops", []string{"eval", "--model", "looped", "--problems", problems, "--loops", "4", "--timed", "0"}, []any{0.0}},
		{"bench of a server with loops", []string{"bench", "--model", "looped", "--loops", "4", "--runs", "1"}, []any{0.0}},
		{"eval of drafts", []string{"eval", "--model", "m", "--problems", problems, "--loops", "4", "--timed", "0", "--draft", "2,auto"}, []any{0.0, 2.0, "auto"}},
		{"bench", []string{"bench", "--loops", "4", "--runs", "1"}, []any{nil}},
		{"bench without drafts", []string{"bench", "--loops", "4", "--runs", "1", "--draft", "0"}, []any{0.0}},
		{"bench of drafts", []string{"bench", "--loops", "4", "--runs", "1", "--draft", "2"}, []any{2.0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var seen []any
			mux := http.NewServeMux()
			mux.HandleFunc("/v1/models", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":[{"id":"m"}]}`) })
			mux.HandleFunc("/v1/models/looped", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"loops":{"min":1,"max":8}}`) })
			mux.HandleFunc("/v1/completions", func(w http.ResponseWriter, r *http.Request) {
				var body map[string]any
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if draft := body["draft_loops"]; !slices.Contains(seen, draft) {
					seen = append(seen, draft)
				}
				answer := `{"choices":[{"text":"2"}],"usage":{"completion_tokens":1}}`
				if body["stream"] == true {
					answer = "data: " + answer + "\n\ndata: [DONE]\n\n"
				}
				fmt.Fprint(w, answer)
			})
			s := httptest.NewServer(mux)
			t.Cleanup(s.Close)
			output(t, append(tt.args, "--url", s.URL)...)
			if !slices.Equal(seen, tt.want) {
				t.Errorf("draft_loops were %v, want %v", seen, tt.want)
			}
		})
	}
}
