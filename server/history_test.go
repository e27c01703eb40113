package server_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
)

func templateFile(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile("testdata/chat/" + name + ".jinja")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// What clients send back of earlier turns is what templates know: each of these once failed, or put the word None into the
// prompt (vllm#54368, vllm#43851, vllm#38488, vllm#13978).
func TestHistory(t *testing.T) {
	const (
		weather = `{"id":"a","type":"function","function":{"name":"weather","arguments":`
		result  = `},{"role":"tool","tool_call_id":"a","content":"4"}]`
		oslo    = "<|im_start|>assistant\n<think>\n\n</think>\n\n\n<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call><|im_end|>\n"
		none    = "<|im_start|>assistant\n<think>\n\n</think>\n\n\n<tool_call>\n<function=weather>\n</function>\n</tool_call><|im_end|>\n"
		thought = "<|im_start|>assistant\n<think>\ntwo and two\n</think>\n\nfour<|im_end|>\n"
	)
	called := func(arguments string) string {
		return `[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[` + weather + arguments + `}}]` + result
	}
	thinks := func(fields string) string {
		return `[{"role":"user","content":"q"},{"role":"assistant","content":"four",` + fields + `},{"role":"user","content":"again"}]`
	}
	for _, tt := range []struct{ template, name, messages, want string }{
		{"xml", "null content", called(`"{\"city\": \"Oslo\"}"`), oslo},
		{"xml", "empty arguments", called(`""`), none},
		{"xml", "null arguments", called(`"null"`), none},
		{"xml", "reasoning", thinks(`"reasoning":"two and two"`), thought},
		{"xml", "reasoning_content", thinks(`"reasoning_content":"two and two"`), thought},
		{"xml", "thinking", thinks(`"thinking":"two and two"`), thought},
		{"one_call", "no calls", thinks(`"tool_calls":[]`), "user: q\nassistant: four\nuser: again\n"},
		{"one_call", "null calls", thinks(`"tool_calls":null`), "user: q\nassistant: four\nuser: again\n"},
		{"one_call", "null fields", thinks(`"function_call":null,"refusal":null,"audio":null,"annotations":[]`), "user: q\nassistant: four\nuser: again\n"},
	} {
		t.Run(tt.template+" "+tt.name, func(t *testing.T) {
			s := &script{text: "x", finish: loopctl.FinishLength}
			ts := serveTemplate(t, s, templateFile(t, tt.template))
			decodeChat(t, chat(t, ts, `{"max_tokens":4,"messages":`+tt.messages+`}`))
			if got, _ := (letters{}).Decode(s.requests[0].Prompt, false); !strings.Contains(got, tt.want) || strings.Contains(got, "None") {
				t.Errorf("prompt %q, want %q in it", got, tt.want)
			}
		})
	}
	ts := serveTemplate(t, &script{}, templateFile(t, "xml"))
	for _, arguments := range []string{`"{\"city\": \"Os"`, `"[\"Oslo\"]"`} {
		var e wireError
		if err := json.Unmarshal([]byte(chat(t, ts, `{"messages":`+called(arguments)+`}`).body), &e); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(e.Error.Message, "messages[1].tool_calls[0].function.arguments is ") {
			t.Errorf("%s: %s", arguments, e.Error.Message)
		}
	}
}
