package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/measure"
)

// A thought is shown before the answer and is not part of it.
func TestShowThoughts(t *testing.T) {
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, chunk := range []string{
			`{"choices":[{"delta":{"role":"assistant","content":""}}]}`,
			`{"choices":[{"delta":{"reasoning_content":"so, "}}]}`,
			`{"choices":[{"delta":{"reasoning_content":"two"}}]}`,
			`{"choices":[{"delta":{"content":"4"}}]}`,
			`{"choices":[{"delta":{"content":"2"},"finish_reason":"stop"}]}`,
			`[DONE]`,
		} {
			fmt.Fprintf(w, "data: %s\n\n", chunk)
		}
	}))
	defer ts.Close()
	var shown strings.Builder
	a := &modelClient{model: "m", api: measure.HTTP{URL: ts.URL}}
	r, err := a.ask(t.Context(), "", measure.Ask{Messages: []measure.Message{{Role: "user", Content: "6*7"}}, Show: show(&shown)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Text != "42" || shown.String() != "so, two\n\n42" || r.Finish != "stop" || len(r.Stamps) != 4 || r.TTFT <= 0 {
		t.Errorf("text %q, shown %q, %+v", r.Text, shown.String(), r)
	}
}
