package chat

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/server/api"
)

// Templates get messages whose content is one string and whose calls have objects as arguments; every other field stays, in
// its place.
func TestReadMessages(t *testing.T) {
	for _, c := range []struct{ name, in, want, last string }{
		{"as it is", `[{"role":"user","content":"1 + 2"}]`, `[{"role":"user","content":"1 + 2"}]`, "1 + 2"},
		{"order and other fields", `[{"name":"a","content":"x","role":"user"}]`, `[{"name":"a","content":"x","role":"user"}]`, "x"},
		{
			"parts become lines", `[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]`,
			`[{"role":"user","content":"a\nb"}]`, "a\nb",
		},
		{"developer", `[{"role":"developer","content":"x"}]`, `[{"role":"system","content":"x"}]`, "x"},
		{
			"arguments are objects", `[` + sentCall(`"{\"a\":12345678901234567890}"`) + `]`, `[` + readCallOf(`{"a":12345678901234567890}`) + `]`, "",
		},
		{"arguments that are an object", `[` + sentCall(`{"a":1}`) + `]`, `[` + readCallOf(`{"a":1}`) + `]`, ""},
		{"no arguments", `[` + sentCall(`""`) + `,` + sentCall(`" "`) + `]`, `[` + readCallOf(`{}`) + `,` + readCallOf(`{}`) + `]`, ""},
		{"null arguments", `[` + sentCall(`"null"`) + `,` + sentCall(`null`) + `]`, `[` + readCallOf(`{}`) + `,` + readCallOf(`{}`) + `]`, ""},
		{
			"absent arguments", `[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]`,
			`[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{}}}],"content":""}]`, "",
		},
		{"no calls", `[{"role":"assistant","content":"b","tool_calls":[]}]`, `[{"role":"assistant","content":"b"}]`, "b"},
		{
			"null", `[{"role":"assistant","content":"b","tool_calls":null,"function_call":null,"refusal":null,"annotations":[]}]`,
			`[{"role":"assistant","content":"b","annotations":[]}]`, "b",
		},
		{"null content", `[{"role":"assistant","content":null},{"role":"tool","content":null}]`, `[{"role":"assistant","content":""},{"role":"tool","content":""}]`, ""},
		{
			"parts of answers", `[{"role":"assistant","content":["a",{"type":"output_text","text":"b"},{"type":"refusal","refusal":"c"}]}]`,
			`[{"role":"assistant","content":"a\nb\nc"}]`, "a\nb\nc",
		},
		{"no parts", `[{"role":"user","content":[]}]`, `[{"role":"user","content":""}]`, ""},
		{
			"a thought", `[{"role":"assistant","content":null,"reasoning":"t"}]`,
			`[{"role":"assistant","reasoning":"t","content":"","reasoning_content":"t","thinking":"t"}]`, "",
		},
		{
			"a thought of two names", `[{"role":"assistant","content":"a","reasoning":"","reasoning_content":"t","thinking":null}]`,
			`[{"role":"assistant","content":"a","reasoning_content":"t","reasoning":"t","thinking":"t"}]`, "a",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readMessages([]byte(c.in), "system")
			if err != nil {
				t.Fatal(err)
			}
			messages, err := json.Marshal(got.messages)
			if err != nil || string(messages) != c.want || got.last != c.last {
				t.Errorf("last %q of\n     %s\nwant %q of\n     %s", got.last, messages, c.last, c.want)
			}
		})
	}
	for in, code := range map[string]string{
		`[{"role":"user","content":null}]`:                          "missing_field",
		`[{"role":"assistant"}]`:                                    "missing_field",
		`[{"role":"assistant","content":"","reasoning":{"a":1}}]`:   "invalid_type",
		`[{"role":"assistant","content":"","tool_calls":{}}]`:       "invalid_type",
		`[{"role":"assistant","content":"","tool_calls":["f"]}]`:    "invalid_type",
		`[{"content":"x"}]`:                                         "missing_field",
		`[{"role":"user"}]`:                                         "missing_field",
		`[{"role":"user","content":[{"type":"image_url"}]}]`:        "unsupported_field",
		`[{"role":"user","content":"x","role":"user"}]`:             "duplicate_field",
		`[{"role":"user","content":1}]`:                             "invalid_type",
		`["x"]`:                                                     "invalid_type",
		`[{"role":"user","content":[{"type":"text","text":null}]}]`: "missing_field",
	} {
		_, err := readMessages([]byte(in), "system")
		e, ok := errors.AsType[*api.Error](err)
		if !ok || e.Code != code || e.Param != "messages" {
			t.Errorf("%s: %v, want code %s of messages", in, err, code)
		}
	}
}

// sentCall is an assistant's message with a call, as clients send it back; readCallOf is what templates get.
func sentCall(arguments string) string {
	return `{"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":` + arguments + `}}]}`
}

func readCallOf(arguments string) string {
	return `{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":` + arguments + `}}],"content":""}`
}

// Arguments that are no object cannot be what a model called with: the error says where they are.
func TestArgumentsThatAreNoObject(t *testing.T) {
	for _, arguments := range []string{`"{\"a\": 1"`, `"[1]"`, `"\"{}\""`, `[1]`, `7`, `"x"`, `true`} {
		_, err := readMessages([]byte(`[{"role":"user","content":"q"},`+sentCall(arguments)+`]`), "system")
		e, ok := errors.AsType[*api.Error](err)
		if !ok || e.Code != "invalid_value" || !strings.HasPrefix(e.Message, "messages[1].tool_calls[0].function.arguments is ") {
			t.Errorf("%s: %v", arguments, err)
		}
	}
}

// What a template puts behind the last message is cut off, so that the model goes on with the message.
func TestCutAfter(t *testing.T) {
	for _, c := range []struct{ text, last, want string }{
		{"<user>Hi<end><bot>Once<end>", "Once", "<user>Hi<end><bot>Once"},
		{"<bot>Once upon <end>", " Once upon ", "<bot>Once upon "}, // the template kept the trailing space
		{"<bot>Once upon<end>", " Once upon ", "<bot>Once upon"},   // and here it did not
		{"a<bot>a<end>", "a", "a<bot>a"},
		{"<bot>Twice<end>", "Once", ""},
		{"<bot><end>", " ", ""},
	} {
		got, err := cutAfter(c.text, c.last)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%q after %q: %q, %v; want %q", c.text, c.last, got, err, c.want)
		}
	}
}
