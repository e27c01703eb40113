package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
)

type wireChat struct {
	ID, Object, Model string
	Choices           []struct {
		Index   int
		Message *struct {
			Role, Content string
		}
		Delta *struct {
			Role    *string
			Content *string
		}
		FinishReason *string `json:"finish_reason"`
		StopReason   any     `json:"stop_reason"`
		Loops        []int
		Lens         []wireLens
	}
	Usage *struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
	}
	Timings map[string]*float64
}

const chatML = `{%- for m in messages -%}<|{{ m.role }}|>{{ m.content }}<|end|>{%- endfor -%}{%- if add_generation_prompt -%}<|assistant|>{%- if enable_thinking is defined and not enable_thinking -%}<nothink>{%- endif -%}{%- endif -%}`

// serveTemplate serves one scripted model with a chat template.
func serveTemplate(t *testing.T, s *script, template string) *httptest.Server {
	t.Helper()
	m := model("adder", &generator{submit: s.submit})
	m.ChatTemplate, m.Context = template, 512
	srv := serverOf(t, m)
	ts := httptest.NewServer(srv)
	t.Cleanup(func() { ts.Close(); s.wg.Wait() })
	return ts
}

func chat(t *testing.T, ts *httptest.Server, body string) answer {
	t.Helper()
	return send(t, ts, http.MethodPost, "/v1/chat/completions", body)
}

func decodeChat(t *testing.T, a answer) wireChat {
	t.Helper()
	var out wireChat
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return out
}

func TestChat(t *testing.T) {
	s := &script{text: "42\x00", finish: loopctl.FinishStop}
	ts := serveTemplate(t, s, chatML)
	a := chat(t, ts, `{"model":"adder@3","messages":[{"role":"user","content":"12+30="}],"n":2,"return_loops":true}`)
	c := decodeChat(t, a)
	if !strings.HasPrefix(c.ID, "chatcmpl-") || c.Object != "chat.completion" || c.Model != "adder" || len(c.Choices) != 2 {
		t.Fatalf("got %s", a.body)
	}
	for i, ch := range c.Choices {
		if ch.Index != i || ch.Message.Role != "assistant" || ch.Message.Content != "42" || *ch.FinishReason != "stop" || len(ch.Loops) != 3 {
			t.Errorf("choice %d: %s", i, a.body)
		}
	}
	if a.header.Get("X-Loops-Applied") != "3" || c.Timings["ms_per_loop"] == nil || c.Usage.CompletionTokens != 6 {
		t.Errorf("%v %s", a.header, a.body)
	}
	r := s.requests[0]
	if got, _ := (letters{}).Decode(r.Prompt, false); got != "<|user|>12+30=<|end|><|assistant|>" {
		t.Errorf("prompt %q", got)
	}
	if want := 512 - len(r.Prompt); r.MaxTokens != want { // what the context leaves
		t.Errorf("max tokens %d, want %d", r.MaxTokens, want)
	}
}

// What the template makes is what is tokenized: no second BOS, whatever the tokenizer would put in front of a text.
func TestChatPrompts(t *testing.T) {
	const two = `"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"}]`
	tests := []struct{ name, template, body, want string }{
		{"generation prompt", chatML, two, "<|system|>s<|end|><|user|>a<|end|><|assistant|>b<|end|><|assistant|>"},
		{"none", chatML, two + `,"add_generation_prompt":false`, "<|system|>s<|end|><|user|>a<|end|><|assistant|>b<|end|>"},
		{"continued", chatML, two + `,"continue_final_message":true`, "<|system|>s<|end|><|user|>a<|end|><|assistant|>b"},
		{"continued with its space", chatML, `"messages":[{"role":"assistant","content":" x "}],"continue_final_message":true`, "<|assistant|> x "},
		{"special tokens asked for", chatML, `"messages":[{"role":"u","content":"a"}],"add_special_tokens":true`, "\x01<|u|>a<|end|><|assistant|>"},
		{"parts", chatML, `"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]`, "<|user|>a\nb<|end|><|assistant|>"},
		{"developer", chatML, `"messages":[{"role":"developer","content":"a"}]`, "<|system|>a<|end|><|assistant|>"},
		{"developer known", `{# developer #}{{ messages[0].role }}`, `"messages":[{"role":"developer","content":"a"}]`, "developer"},
		{"argument", chatML, `"messages":[{"role":"u","content":"a"}],"chat_template_kwargs":{"enable_thinking":false}`, "<|u|>a<|end|><|assistant|><nothink>"},
		{"bos and eos", `{{ bos_token }}|{{ eos_token }}|{{ tools is none }}`, two, "\x01|\x00|True"},
		{"tools", `{{ tools[0].function.name }}`, two + `,"tools":[{"type":"function","function":{"name":"add"}}]`, "add"},
		{"tools not wanted", `{{ tools is none }}`, two + `,"tool_choice":"none","tools":[{"type":"function","function":{"name":"add"}}]`, "True"},
		{"whole message", `{{ messages[0] | tojson }}`, `"messages":[{"z":1,"role":"user","content":["x"],"content":"a<b"}]`, ""},
		{"order of fields", `{{ messages[0] | tojson }}`, `"messages":[{"z":1,"role":"user","a":{"c":1,"b":2},"content":"a<b"}]`, `{"z": 1, "role": "user", "a": {"c": 1, "b": 2}, "content": "a<b"}`},
		{"arguments", `{{ messages[0].tool_calls[0].function.arguments.x }}`, `"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":5}"}}]}]`, "5"},
		{"effort", `{{ reasoning_effort }}`, two + `,"reasoning_effort":"low"`, "low"},
		{"effort inside reasoning", `{{ reasoning_effort }}`, two + `,"reasoning":{"effort":"low"}`, "low"},
		{"documents", `{{ documents[0].t }}`, two + `,"documents":[{"t":"d"}]`, "d"},
		{"no template", "", two, "ab"},
		{"no template, one question", "", `"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]`, "c"},
		{"no template, no question", "", `"messages":[{"role":"system","content":"s"},{"role":"tool","content":"t"}]`, "st"},
		{"no template, continued", "", two + `,"continue_final_message":true`, "ab"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{text: "x", finish: loopctl.FinishLength}
			ts := serveTemplate(t, s, tt.template)
			a := chat(t, ts, "{"+tt.body+"}")
			if tt.want == "" {
				if a.status != 400 {
					t.Errorf("status %d", a.status)
				}
				return
			}
			decodeChat(t, a)
			got, _ := letters{}.Decode(s.requests[0].Prompt, false)
			if got != tt.want {
				t.Errorf("prompt %q, want %q", got, tt.want)
			}
			if _, isReasoning := strings.CutSuffix(tt.body, `"low"`); isReasoning && s.requests[0].Loops != 2 {
				t.Errorf("loops %d, want 2", s.requests[0].Loops)
			}
			b := send(t, ts, "POST", "/tokenize", "{"+tt.body+"}")
			var tokens struct{ Tokens []int32 }
			if err := json.Unmarshal([]byte(b.body), &tokens); err != nil {
				t.Fatal(err)
			}
			if again, _ := (letters{}).Decode(tokens.Tokens, false); again != got {
				t.Errorf("/tokenize says %q, the chat ran %q", again, got)
			}
		})
	}
}

func TestChatStream(t *testing.T) {
	s := &script{text: "42\x00", finish: loopctl.FinishStop}
	ts := serveTemplate(t, s, chatML)
	a := chat(t, ts, `{"messages":[{"role":"user","content":"x"}],"stream":true,"n":2,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`)
	roles, texts := map[int]int{}, map[int]string{}
	list := events(t, a.body)
	for i, e := range list {
		var c wireChat
		if err := json.Unmarshal([]byte(e), &c); err != nil {
			t.Fatal(err)
		}
		if c.Object != "chat.completion.chunk" || c.Usage == nil {
			t.Errorf("event %s", e)
		}
		if i == len(list)-1 {
			if len(c.Choices) != 0 || c.Usage.CompletionTokens != 6 || c.Timings == nil {
				t.Errorf("last event %s", e)
			}
			continue
		}
		ch := c.Choices[0]
		if ch.Delta.Role != nil {
			if texts[ch.Index] != "" || *ch.Delta.Role != "assistant" || ch.Delta.Content == nil || *ch.Delta.Content != "" {
				t.Errorf("event %s", e)
			}
			roles[ch.Index]++
		}
		texts[ch.Index] += *ch.Delta.Content
		if roles[ch.Index] != 1 {
			t.Errorf("text before the role in %s", e)
		}
	}
	if texts[0] != "42" || texts[1] != "42" || len(list) != 9 {
		t.Errorf("texts %v in %d events", texts, len(list))
	}
}

// Without max_tokens a chat gets the room that the KV memory has, not an error about tokens that nobody asked for.
func TestChatRoom(t *testing.T) {
	s := &script{text: "x", finish: loopctl.FinishLength}
	var asked []int
	g := &generator{submit: func(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
		asked = append(asked, reqs[0].MaxTokens)
		if reqs[0].MaxTokens > 20 {
			return nil, loopctl.ErrPagesExhausted
		}
		return s.submit(reqs...)
	}}
	srv := serverOf(t, model("adder", g))
	ts := newTestServer(t, srv)
	decodeChat(t, chat(t, ts, `{"messages":[{"role":"user","content":"abcd"}]}`))
	if want := []int{60, 30, 16}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v tokens, want %v", asked, want)
	}
	if a := chat(t, ts, `{"messages":[{"role":"user","content":"abcd"}],"max_tokens":60}`); a.status != 400 {
		t.Errorf("status %d: what was asked for is given or refused", a.status)
	}
}

func TestChatBadInput(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	const raising = `{%- if messages[0].role == 'system' -%}{{ raise_exception('no system here') }}{%- endif -%}{%- if messages[0].role == 'loop' -%}{%- for i in range(99999) -%}{%- for j in range(99999) -%}x{%- endfor -%}{%- endfor -%}{%- endif -%}{{ messages[0].nothing.at }}`
	ts := serveTemplate(t, s, raising)
	plain := serveTemplate(t, s, "")
	broken := serveTemplate(t, s, "{% include 'x' %}")
	one := func(fields string) string { return `{"messages":[{"role":"user","content":"x"}],` + fields + `}` }
	tests := []struct {
		ts                       *httptest.Server
		body, code, param, error string
	}{
		{plain, `{}`, "missing_field", "messages", `messages is missing: give a list of {"role", "content"}`},
		{plain, `{"prompt":"x"}`, "unsupported_field", "prompt", "prompt is \"x\", a string: a chat does not take the field: send messages, or use /v1/completions"},
		{plain, `{"messages":"x"}`, "invalid_type", "messages", `messages is "x", a string: it must be a list of {"role", "content"}`},
		{plain, `{"messages":[]}`, "empty_prompt", "messages", "messages is an empty list: give at least one message"},
		{plain, `{"messages":["x"]}`, "invalid_type", "messages", `messages[0] is "x", a string: it must be an object`},
		{plain, `{"messages":[{"content":"x"}]}`, "missing_field", "messages", "messages[0].role is missing: give system, user or assistant"},
		{plain, `{"messages":[{"role":7,"content":"x"}]}`, "invalid_type", "messages", "messages[0].role is 7: it must be a string, as system, user or assistant"},
		{plain, `{"messages":[{"role":"user"}]}`, "missing_field", "messages", "messages[0].content is missing: give a string or a list of text parts"},
		{plain, `{"messages":[{"role":"user","content":7}]}`, "invalid_type", "messages", `messages[0].content is 7: it must be a string or a list of {"type": "text", "text": …}`},
		{plain, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}]}`, "unsupported_field", "messages", `messages[0].content[0] is of type "image_url": models served here read text only`},
		{plain, `{"messages":[{"role":"user","content":"x","content":"y"}]}`, "duplicate_field", "messages", "messages[0].content is given twice: give it once"},
		{plain, `{"messages":[{"role":"user","content":""}]}`, "empty_prompt", "messages", "messages make an empty prompt: model adder needs at least one token to start from"},
		{plain, `{"messages":[{"role":"user","content":"☃"}]}`, "cannot_tokenize", "messages", "messages cannot be tokenized: letter '☃' is unknown: change the text"},
		{plain, `{"messages":[{"role":"user","content":"` + strings.Repeat("a", 512) + `"}]}`, "context_length_exceeded", "messages", "messages has 512 tokens: model adder has a context of 512 tokens for prompt and completion together: shorten the prompt to 511"},
		{plain, one(`"tools":[{}]`), "invalid_value", "tools", `tools[0] must have "type": "function" and a function with a name`},
		{plain, one(`"tool_choice":"required"`), "invalid_value", "tool_choice", "tool_choice asks for a call and there are no tools: give tools, or leave it out"},
		{plain, one(`"tool_choice":"always"`), "invalid_value", "tool_choice", `tool_choice is "always": it must be "auto", "none", "required", or {"type": "function", "function": {"name"}}`},
		{plain, one(`"tool_choice":{"type":"function"}`), "invalid_type", "tool_choice", `tool_choice is an object: it must be "auto", "none", "required", or {"type": "function", "function": {"name"}}`},
		{plain, one(`"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"g"}}`), "invalid_value", "tool_choice", `tool_choice names the function "g", which is not among tools`},
		{plain, one(`"tools":[{"type":"function","function":{"name":"a b"}}]`), "invalid_value", "tools", `tools[0].function.name is "a b": it must be 1 to 64 letters, digits, _, - and points`},
		{plain, one(`"reasoning_format":"raw"`), "invalid_value", "reasoning_format", `reasoning_format is "raw": it must be one of auto, none, deepseek`},
		{plain, one(`"functions":[{"name":"f"}]`), "unsupported_field", "functions", "functions is a list: a chat does not take the field: use tools"},
		{plain, one(`"echo":true`), "unsupported_field", "echo", "echo is true: a chat does not take the field: leave the field out"},
		{plain, one(`"chat_template":"x"`), "unsupported_field", "chat_template", `chat_template is "x", a string: the field is not supported by this version: templates come from the model only`},
		{plain, one(`"chat_template_kwargs":{"tokenize":true}`), "unsupported_field", "chat_template_kwargs", `chat_template_kwargs has "tokenize", which a request may not set: the names are enable_thinking, thinking, reasoning_effort, date_string, tools_in_user_message`},
		{plain, one(`"chat_template_kwargs":{"thinking":{}}`), "invalid_type", "chat_template_kwargs", "chat_template_kwargs.thinking is an object: it must be a string, a number, true or false"},
		{plain, one(`"continue_final_message":true,"add_generation_prompt":true`), "conflicting_fields", "continue_final_message", "continue_final_message and add_generation_prompt exclude each other: a message is continued or a new one begun: leave one of the two out"},
		{plain, one(`"documents":[{}]`), "unsupported_field", "documents", "documents is given, but the chat template of model adder does not use documents: put them into a message"},
		{plain, one(`"reasoning_effort":"extreme"`), "invalid_value", "reasoning_effort", `reasoning_effort is "extreme": it must be one of none, minimal, low, medium, high, xhigh; or set loops`},
		{ts, `{"messages":[{"role":"system","content":"x"}]}`, "invalid_value", "messages", "the chat template of model adder refuses the conversation: no system here"},
		{ts, `{"messages":[{"role":"loop","content":"x"}]}`, "request_too_large", "messages", "the chat template of model adder exceeded its limits: send a shorter conversation"},
		{ts, one(`"n":1`), "chat_template_failed", "messages", ""},
		{broken, one(`"n":1`), "chat_template_failed", "messages", ""},
	}
	for _, tt := range tests {
		t.Run(tt.body[:min(len(tt.body), 70)], func(t *testing.T) {
			a := chat(t, tt.ts, tt.body)
			if tt.error == "" {
				var e wireError
				if err := json.Unmarshal([]byte(a.body), &e); err != nil {
					t.Fatal(err)
				}
				tt.error = e.Error.Message
			}
			checkError(t, a, http.StatusBadRequest, tt.code, tt.param, tt.error)
		})
	}
	if n, _ := s.count(); n != 0 {
		t.Errorf("%d requests reached the engine", n)
	}
}
