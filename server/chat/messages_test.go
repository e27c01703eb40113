package chat

import (
	"errors"
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
			"arguments are objects",
			`[{"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":12345678901234567890}"}}]}]`,
			`[{"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":{"a":12345678901234567890}}}]}]`, "",
		},
		{
			"arguments that are no JSON stay",
			`[{"role":"assistant","content":"","tool_calls":[{"function":{"arguments":"{a"}}]}]`,
			`[{"role":"assistant","content":"","tool_calls":[{"function":{"arguments":"{a"}}]}]`, "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readMessages([]byte(c.in), "system")
			if err != nil {
				t.Fatal(err)
			}
			if string(got.messages) != c.want || got.last != c.last {
				t.Errorf("last %q of\n     %s\nwant %q of\n     %s", got.last, got.messages, c.last, c.want)
			}
		})
	}
	for in, code := range map[string]string{
		`[{"content":"x"}]`: "missing_field",
		`[{"role":"user"}]`: "missing_field",
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
