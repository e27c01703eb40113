package dialect_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/dialect"
	"github.com/loopserve/loopserve/server/generate"
)

func decoded(t *testing.T, route api.Route, body string) (api.Body, *api.Values) {
	t.Helper()
	b, err := api.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	v, err := api.Decode(b, route, &api.Bounds{Limits: api.Limits{}.WithDefaults(), Model: "m", Vocab: 9, Context: 99, MinLoops: 1, MaxLoops: 9})
	if err != nil {
		t.Fatal(err)
	}
	return b, v
}

// chatOf is the chat that a body becomes, as JSON, or the error.
func chatOf(t *testing.T, route api.Route, body string) string {
	t.Helper()
	b, v := decoded(t, route, body)
	var r dialect.Request
	var err error
	if route == api.Responses {
		r, err = dialect.ReadResponse(b, v, &dialect.Shelf{})
	} else {
		r, err = dialect.ReadMessages(b, v)
	}
	if err != nil {
		return err.Error()
	}
	chat := r.Chat()
	keys := []string{}
	for name := range chat {
		keys = append(keys, name)
	}
	slices.Sort(keys)
	var out strings.Builder
	for _, name := range keys {
		fmt.Fprintf(&out, "%s %s\n", name, chat[name])
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func TestResponsesBecomeChats(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{`{"input":"hi"}`, `messages [{"role":"user","content":"hi"}]`},
		{
			`{"input":"hi","instructions":"be <brief>","max_output_tokens":9,"loops":3,"store":false,"metadata":{"a":"b"},"stream":true,"stream_options":{"include_obfuscation":false}}`,
			"loops 3\nmax_tokens 9\n" + `messages [{"role":"developer","content":"be <brief>"},{"role":"user","content":"hi"}]` + "\nstream true",
		},
		{
			`{"input":[{"role":"user","content":[{"type":"input_text","text":"q"}]},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}]},` +
				`{"type":"message","role":"assistant","content":[{"type":"output_text","text":"so"}]},{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},` +
				`{"type":"function_call","call_id":"c2","name":"g","arguments":"{\"x\":1}"},{"type":"function_call_output","call_id":"c1","output":"1"},` +
				`{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"2"}]},{"role":"assistant","content":"done"},{"role":"assistant","content":"more"}]}`,
			`messages [{"role":"user","content":[{"type":"input_text","text":"q"}]},` +
				`{"role":"assistant","content":[{"type":"output_text","text":"so"}],"reasoning":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},` +
				`{"id":"c2","type":"function","function":{"name":"g","arguments":"{\"x\":1}"}}]},` +
				`{"role":"tool","content":"1","tool_call_id":"c1"},{"role":"tool","content":[{"type":"input_text","text":"2"}],"tool_call_id":"c2"},` +
				`{"role":"assistant","content":"done"},{"role":"assistant","content":"more"}]`,
		},
		{
			`{"input":"q","tools":[{"type":"function","name":"f","description":"d","parameters":{},"strict":true}],"tool_choice":{"type":"function","name":"f"},"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}}}`,
			`messages [{"role":"user","content":"q"}]` + "\n" + `response_format {"json_schema":{"name":"n","schema":{"type":"object"},"type":"json_schema"},"type":"json_schema"}` + "\n" +
				`tool_choice {"function":{"name":"f"},"type":"function"}` + "\n" + `tools [{"function":{"description":"d","name":"f","parameters":{},"strict":true},"type":"function"}]`,
		},
		{`{"input":[]}`, "input is an empty list: give at least one item"},
		{`{"input":3}`, `input is 3: it must be a string, or a list of items as {"role", "content"}`},
		{`{"input":["a"]}`, `input[0] is "a", a string: it must be an item, as {"role", "content"}`},
		{`{"input":[{"type":"web_search_call"}]}`, `input[0].type is "web_search_call": the items are message, function_call, function_call_output, reasoning and item_reference`},
		{`{"input":[{"type":"function_call","call_id":"c"}]}`, "input[0].name is missing: give a string"},
		{`{"input":[{"type":"item_reference","id":"rs_1"}]}`, `input[0] refers to the item "rs_1", which is not kept here: ` + dialect.Forgotten},
		{`{"input":"q","previous_response_id":"resp_1"}`, `previous_response_id is "resp_1", which is not kept here: ` + dialect.Forgotten},
		{`{"input":"q","tools":[{"type":"web_search"}]}`, `tools[0].type is "web_search": the server runs no tools itself: use tools of type function, which the client runs`},
		{`{"input":"q","include":["all"]}`, `include[0] is "all": it must be one of message.output_text.logprobs, reasoning.encrypted_content, message.input_image.image_url, computer_call_output.output.image_url, file_search_call.results, web_search_call.results, web_search_call.action.sources, code_interpreter_call.outputs`},
		{`{"input":"q","tool_choice":{"type":"mcp"}}`, `tool_choice is an object: it must be "auto", "none", "required", or {"type": "function", "name"}`},
		{`{"input":"q","top_logprobs":2}`, `top_logprobs has no effect without "include": ["message.output_text.logprobs"]: set include, or leave top_logprobs out`},
	} {
		if got := chatOf(t, api.Responses, tt.body); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.body, got, tt.want)
		}
	}
}

func TestMessagesBecomeChats(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{
			`"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}],"messages":[{"role":"user","content":"hi"}],"stop_sequences":["x"],"top_k":4`,
			`max_tokens 9` + "\n" + `messages [{"role":"system","content":"a\nb"},{"role":"user","content":"hi"}]` + "\nstop [\"x\"]\ntop_k 4",
		},
		{
			`"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"so"},{"type":"tool_use","id":"t1","name":"f","input":{"x":1}}]},` +
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"1"}]},{"type":"text","text":"and?"}]}]`,
			`max_tokens 9` + "\n" + `messages [{"role":"user","content":"q"},{"role":"assistant","content":"so","reasoning":"hm","tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},` +
				`{"role":"tool","content":"1","tool_call_id":"t1"},{"role":"user","content":"and?"}]`,
		},
		{
			`"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"so"}],"thinking":{"type":"disabled"},"output_config":{"effort":"max"}`,
			`chat_template_kwargs {"enable_thinking":false}` + "\ncontinue_final_message true\nmax_tokens 9\n" + `messages [{"role":"user","content":"q"},{"role":"assistant","content":"so"}]` + "\n" + `reasoning_effort "xhigh"`,
		},
		{
			`"messages":[{"role":"user","content":"q"}],"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}`,
			`max_tokens 9` + "\n" + `messages [{"role":"user","content":"q"}]` + "\nparallel_tool_calls false\n" + `tool_choice {"function":{"name":"f"},"type":"function"}` + "\n" + `tools [{"function":{"name":"f","parameters":{}},"type":"function"}]`,
		},
		{`"messages":[{"role":"user","content":"q"},{"role":"assistant","content":""}]`, `max_tokens 9` + "\n" + `messages [{"role":"user","content":"q"}]`},
		{`"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[]}]`, `max_tokens 9` + "\n" + `messages [{"role":"user","content":"q"}]`},
		{
			`"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"thinking","thinking":"so"}]}]`,
			`max_tokens 9` + "\n" + `messages [{"role":"user","content":"q"},{"role":"assistant","reasoning":"hmso"}]`,
		},
		{`"messages":[{"role":"system","content":"q"}]`, `messages[0].role is "system": it must be user or assistant; put system text into the field system`},
		{`"messages":[{"role":"user","content":[{"type":"image"}]}]`, `messages[0].content[0] is of type "image", which a message of the role user cannot have here: models served here read text only`},
		{`"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image"}]}]}]`, `messages[0].content[0].content[0] is of type "image": models served here read text only`},
		{`"messages":[{"role":"user","content":"q"}],"tools":[{"type":"bash_20250124","name":"bash"}]`, `tools[0].type is "bash_20250124": the server runs no tools itself: use tools of type custom, which the client runs`},
		{`"messages":[{"role":"user","content":"q"}],"tool_choice":{"type":"all"}`, `tool_choice.type is "all": it must be one of auto, any, tool, none`},
	} {
		if got := chatOf(t, api.Messages, `{"max_tokens":9,`+tt.body+`}`); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.body, got, tt.want)
		}
	}
}

// What a chat says of its fields names the client's own.
func TestRename(t *testing.T) {
	b, v := decoded(t, api.Responses, `{"instructions":"i","input":[{"role":"user","content":"q"},{"type":"function_call","call_id":"c","name":"f","arguments":"{"}]}`)
	r, err := dialect.ReadResponse(b, v, &dialect.Shelf{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ param, message, wantParam, want string }{
		{"messages", "messages[2].tool_calls[0].function.arguments is \"{\"", "input", "input[1].arguments is \"{\""},
		{"messages", "messages[1].content is missing", "input", "input[0].content is missing"},
		{"max_tokens", "lower max_tokens", "max_output_tokens", "lower max_output_tokens"},
		{"response_format.json_schema", "response_format.json_schema.schema is missing", "text.format", "text.format.schema is missing"},
		{"loops", "loops is 99", "loops", "loops is 99"},
	} {
		got := r.Rename(api.Bad(tt.param, "c", "%s", tt.message))
		if e, ok := errors.AsType[*api.Error](got); !ok || e.Param != tt.wantParam || e.Message != tt.want {
			t.Errorf("%s: %v", tt.message, got)
		}
	}
}

// What is kept is what is sent, although a second may begin between them. A response that was cut has not completed.
func TestCompletedAt(t *testing.T) {
	for finish, want := range map[string]string{"stop": `"completed_at":946684800,`, "length": `"completed_at":null,`} {
		synctest.Test(t, func(t *testing.T) { // its clock starts in 2000
			b, v := decoded(t, api.Responses, `{"input":"q"}`)
			shelf := &dialect.Shelf{}
			r, err := dialect.ReadResponse(b, v, shelf)
			if err != nil {
				t.Fatal(err)
			}
			a := r.Answer(&generate.Sequences{Plan: &generate.Plan{Model: &generate.Model{}}, ID: "resp_1", Usage: &generate.Usage{}})
			a.Add(&generate.Delta{Text: "a", Finish: finish})
			shelf.Keep(a)
			kept, _ := shelf.Whole("resp_1")
			time.Sleep(time.Second)
			if sent, err := api.Encode(a.Whole()); err != nil || string(sent) != string(kept) || !strings.Contains(string(sent), want) {
				t.Errorf("%v\nkept %s\nsent %s\nwant %s", err, kept, sent, want)
			}
		})
	}
}
