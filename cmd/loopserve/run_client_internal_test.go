package main

import (
	"encoding/json"
	"testing"
)

// A thought is shown before the answer and is no part of it.
func TestHearThoughts(t *testing.T) {
	var s said
	shown := ""
	for _, chunk := range []string{
		`{"choices":[{"delta":{"role":"assistant","content":""}}]}`,
		`{"choices":[{"delta":{"reasoning_content":"so, "}}]}`,
		`{"choices":[{"delta":{"reasoning_content":"two"}}]}`,
		`{"choices":[{"delta":{"content":"4"}}]}`,
		`{"choices":[{"delta":{"content":"2"},"finish_reason":"stop"}]}`,
	} {
		var c streamed
		if err := json.Unmarshal([]byte(chunk), &c); err != nil {
			t.Fatal(err)
		}
		s.hear(&c, 1, func(text string) { shown += text })
	}
	if s.Text != "42" || shown != "so, two\n\n42" || s.Finish != "stop" {
		t.Errorf("text %q, shown %q, %+v", s.Text, shown, s)
	}
}
