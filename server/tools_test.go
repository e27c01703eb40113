package server_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
	"github.com/loopserve/loopserve/server/generate"
	"github.com/loopserve/loopserve/tokenizer"
)

// A template of a model that thinks and calls: the prompt opens the thought unless it is told not to.
const thinkingTemplate = `{%- if tools -%}<tools>{{ tools | tojson }}</tools> <tool_call>{%- endif -%}
{%- for m in messages -%}<|{{ m.role }}|>{{ m.content or '' }}{%- for c in m.tool_calls or [] -%}[{{ c.function.name }}]{%- endfor -%}{%- endfor -%}
<|assistant|>{%- if enable_thinking is not defined or enable_thinking -%}<think>{{ '\n' }}{%- else -%}<think></think>{%- endif -%}`

const (
	addTool = `{"type":"function","function":{"name":"add","description":"adds","parameters":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}}}`
	oneCall = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"x\": 1}}\n</tool_call>"
)

func serveThinking(t *testing.T, s *script, tok tokenizer.Tokenizer) *httptest.Server {
	t.Helper()
	return serveLong(t, s, tok, thinkingTemplate)
}

// serveLong has room for tools.
func serveLong(t *testing.T, s *script, tok tokenizer.Tokenizer, template string) *httptest.Server {
	t.Helper()
	m := model("adder", &generator{submit: s.submit})
	m.ChatTemplate, m.Context, m.Tokenizer = template, 1024, tok
	srv := serverOf(t, m)
	ts := httptest.NewServer(srv)
	t.Cleanup(func() { ts.Close(); s.wg.Wait() })
	return ts
}

// chatted is what a chat's answer was made of, whole or streamed.
type chatted struct {
	content, reasoning, calls, finish string
	thought                           int // tokens
	bare                              bool
}

// ask sends a chat through OpenAI's client, whole and streamed; both must say the same.
func ask(t *testing.T, ts *httptest.Server, fields string) chatted {
	t.Helper()
	client := openai.NewClient(option.WithBaseURL(ts.URL+"/v1/"), option.WithAPIKey("x"), option.WithHTTPClient(ts.Client()))
	p := openai.ChatCompletionNewParams{Model: "adder", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("q")}}
	var more map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+fields+"}"), &more); err != nil {
		t.Fatal(err)
	}
	var options []option.RequestOption
	for name, value := range more {
		options = append(options, option.WithJSONSet(name, value))
	}
	c, err := client.Chat.Completions.New(t.Context(), p, options...)
	if err != nil {
		t.Fatal(err)
	}
	reasoningOf := func(raw string) string {
		var out struct {
			ReasoningContent string `json:"reasoning_content"`
		}
		if err := json.Unmarshal([]byte(raw), &out); err != nil {
			t.Fatal(err)
		}
		return out.ReasoningContent
	}
	m := c.Choices[0].Message
	whole := chatted{
		content: m.Content, reasoning: reasoningOf(m.RawJSON()), finish: c.Choices[0].FinishReason,
		thought: int(c.Usage.CompletionTokensDetails.ReasoningTokens), bare: m.JSON.Content.Raw() == "null",
	}
	for _, call := range m.ToolCalls {
		whole.calls += call.Function.Name + call.Function.Arguments
	}

	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := client.Chat.Completions.NewStreaming(t.Context(), p, options...)
	var acc openai.ChatCompletionAccumulator
	reasoning := ""
	for stream.Next() {
		chunk := stream.Current()
		acc.AddChunk(chunk)
		for _, ch := range chunk.Choices {
			reasoning += reasoningOf(ch.Delta.RawJSON())
		}
	}
	if stream.Err() != nil {
		t.Fatal(stream.Err())
	}
	m = acc.Choices[0].Message
	streamed := chatted{
		content: m.Content, reasoning: reasoning, finish: acc.Choices[0].FinishReason,
		thought: int(acc.Usage.CompletionTokensDetails.ReasoningTokens), bare: whole.bare,
	}
	for _, call := range m.ToolCalls {
		if call.ID == "" || call.Type != "function" {
			t.Errorf("a streamed call is %+v", call)
		}
		streamed.calls += call.Function.Name + call.Function.Arguments
	}
	if whole != streamed {
		t.Errorf("whole    %+v\nstreamed %+v", whole, streamed)
	}
	return whole
}

func TestReasoningAndCalls(t *testing.T) {
	tools := `"tools":[` + addTool + `]`
	for _, tt := range []struct {
		name, text, fields string
		want               chatted
	}{
		{"thought", "hm\n</think>\n\n42\x00", `"n":1`, chatted{content: "42", reasoning: "hm", finish: "stop", thought: 11}},
		{"only thought", "hm\x00", `"n":1`, chatted{reasoning: "hm", finish: "stop", thought: 3}},
		{"not told apart", "hm</think>42\x00", `"reasoning_format":"none"`, chatted{content: "hm</think>42", finish: "stop"}},
		{"not shown", "hm</think>42\x00", `"include_reasoning":false`, chatted{content: "42", finish: "stop", thought: 10}},
		{"told not to think", "42\x00", `"chat_template_kwargs":{"enable_thinking":false}`, chatted{content: "42", finish: "stop"}},
		{"a stop string in thought", "ab.c</think>d\x00", `"stop":"."`, chatted{reasoning: "ab", finish: "stop", thought: 3}},
		{"cut short", "hm</think>42", `"max_tokens":4`, chatted{reasoning: "hm</", finish: "length", thought: 4}},
		{"thought and call", "hm</think>\n" + oneCall + "\x00", tools, chatted{reasoning: "hm", calls: `add{"x": 1}`, finish: "tool_calls", thought: 10, bare: true}},
		{"word and call", "hm</think>so:\n" + oneCall + "\x00", tools, chatted{content: "so:", reasoning: "hm", calls: `add{"x": 1}`, finish: "tool_calls", thought: 10}},
		{"two calls", "</think>" + oneCall + "\n" + oneCall + "\x00", tools, chatted{calls: `add{"x": 1}add{"x": 1}`, finish: "tool_calls", thought: 8, bare: true}},
		{"one of two", "</think>" + oneCall + oneCall + "\x00", tools + `,"parallel_tool_calls":false`, chatted{calls: `add{"x": 1}`, finish: "tool_calls", thought: 8, bare: true}},
		{"no call wanted", "</think>" + oneCall + "\x00", tools + `,"tool_choice":"none"`, chatted{content: oneCall, finish: "stop", thought: 8}},
		{"a broken call", "</think><tool_call>{</tool_call>\x00", tools, chatted{content: "<tool_call>{</tool_call>", finish: "stop", thought: 8}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{text: tt.text, finish: loopctl.FinishStop}
			if got := ask(t, serveThinking(t, s, letters{}), tt.fields); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// marked is letters with the marks as special tokens, as Ouro has them: a decoder leaves them out.
type marked struct{ letters }

var marks = map[string]int32{"<think>": 200, "</think>": 201, "<tool_call>": 202, "</tool_call>": 203}

func (m marked) Encode(text string, addSpecial bool) ([]int32, error) {
	for mark, id := range marks {
		if before, after, found := strings.Cut(text, mark); found {
			head, err := m.Encode(before, addSpecial)
			if err != nil {
				return nil, err
			}
			tail, err := m.Encode(after, false)
			return slices.Concat(head, []int32{id}, tail), err
		}
	}
	return m.letters.Encode(text, addSpecial)
}

func (m marked) IDToToken(id int32) (string, bool) {
	for mark, i := range marks {
		if i == id {
			return mark, true
		}
	}
	return m.letters.IDToToken(id)
}

func (m marked) IsSpecial(id int32) bool { return id >= 200 || m.letters.IsSpecial(id) }

func (m marked) NewDecoder(skipSpecial bool) tokenizer.Decoder { return &markedDecoder{m, skipSpecial} }

type markedDecoder struct {
	m    marked
	skip bool
}

func (*markedDecoder) Prime([]int32) {}

func (d *markedDecoder) Push(id int32) string {
	if d.skip && d.m.IsSpecial(id) {
		return ""
	}
	text, _ := d.m.IDToToken(id)
	return text
}

func (*markedDecoder) Flush() string { return "" }

func TestMarksThatAreSpecialTokens(t *testing.T) {
	call := strings.NewReplacer("<tool_call>", "\u00ca", "</tool_call>", "\u00cb").Replace(oneCall) // 202, 203
	for _, fields := range []string{`"n":1`, `"skip_special_tokens":false`} {
		s := &script{text: "hm\u00c9" + call + "\u0000", finish: loopctl.FinishStop}
		got := ask(t, serveThinking(t, s, marked{}), `"tools":[`+addTool+`],`+fields)
		if want := (chatted{reasoning: "hm", calls: `add{"x": 1}`, finish: "tool_calls", thought: 3, bare: true}); got != want {
			t.Errorf("%s: got %+v", fields, got)
		}
	}
}

// A call that must come does come, of the tool that was named and with arguments of its schema, whatever the engine says.
func TestForcedCalls(t *testing.T) {
	templates := []string{thinkingTemplate, `{{ tools | tojson }}{{ messages[0].content }}`, ""}
	for _, file := range []string{"xml", "hermes", "llama", "pythonic", "mistral", "tags"} {
		templates = append(templates, templateFile(t, file))
	}
	for _, template := range templates {
		limits := engineLimits(4000)
		limits.Context = 1024
		engine := loopctltest.New(limits)
		ts, _ := serveOn(t, engine, func(m *generate.Model) { m.ChatTemplate, m.Context = template, 1024 })
		other := strings.NewReplacer(`"add"`, `"neg"`, `"x"`, `"y"`, "integer", "boolean").Replace(addTool)
		for _, choice := range []string{`"required"`, `{"type":"function","function":{"name":"neg"}}`} {
			ended := 0
			for seed := range 8 {
				c := decodeCalls(t, chat(t, ts, `{"messages":[{"role":"user","content":"x"}],"max_tokens":200,"temperature":1,"parallel_tool_calls":false,"seed":`+
					string(rune('0'+seed))+`,"tools":[`+addTool+","+other+`],"tool_choice":`+choice+`}`))
				if c.Finish == "length" {
					continue
				}
				ended++
				if len(c.Message.ToolCalls) != 1 || c.Finish != "tool_calls" || c.Message.Content != nil {
					t.Fatalf("got %+v", c)
				}
				f := c.Message.ToolCalls[0].Function
				var x struct {
					X *int
					Y *bool
				}
				if err := json.Unmarshal([]byte(f.Arguments), &x); err != nil || (x.X != nil) != (f.Name == "add") || (x.Y != nil) != (f.Name == "neg") {
					t.Errorf("%v: %+v", err, f)
				}
				if f.Name == "add" && choice[0] == '{' {
					t.Errorf("called %s, not what was named", f.Name)
				}
			}
			if ended == 0 {
				t.Errorf("no call of %s came to its end", choice)
			}
		}
		checkError(t, chat(t, ts, `{"messages":[{"role":"user","content":"x"}],"tools":[`+addTool+`],"tool_choice":"required","regex":"a"}`), 400,
			"conflicting_fields", "tool_choice", "tool_choice and regex exclude each other: an answer takes one structured output: leave one of the two out")
		both := chat(t, ts, `{"messages":[{"role":"user","content":"x"}],"tools":[`+addTool+`],"tool_choice":"required","response_format":{"type":"json_object"},"temperature":0}`)
		if both.status != 200 { // as OpenAI: response_format is about text, of which a call has none
			t.Errorf("tool_choice beside response_format: %d %s", both.status, both.body)
		}
		checkError(t, chat(t, ts, `{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"$dynamicRef":"#"}}}],"tool_choice":"required"}`), 400,
			"invalid_value", "tool_choice", `tool_choice: the schema at #: keyword "$dynamicRef" is not supported here: use $ref (parameters of tool "f")`)
	}
}

// A model is read as its template teaches it to call, and not as one mark says (mlx-swift-lm#460, sglang#31763).
func TestTaughtCalls(t *testing.T) {
	const (
		weather = `"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]}}}]`
		tagged  = "<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>"
		asJSON  = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\", \"days\": 3}}\n</tool_call>"
	)
	want := chatted{calls: `weather{"city": "Oslo", "days": 3}`, finish: "tool_calls", bare: true}
	for _, tt := range []struct{ template, text, kwargs string }{
		{"xml", tagged, `{"enable_thinking":false}`},
		{"xml", asJSON, `{"enable_thinking":false}`},
		{"hermes", asJSON, `{}`},
		{"hermes", tagged, `{"tool_call_format":"xml"}`},
		{"llama", `{"name": "weather", "parameters": {"city": "Oslo", "days": 3}}`, `{}`},
		{"pythonic", `[weather(city="Oslo", days=3)]`, `{}`},
		{"mistral", `[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo", "days": 3}, "id": "abcdefghi"}]`, `{}`},
		{"tags", "<|calls|><|call|>function<|sep|>weather\n```json\n{\"city\": \"Oslo\", \"days\": 3}\n```<|/call|><|/calls|>", `{}`},
	} {
		t.Run(tt.template+tt.kwargs, func(t *testing.T) {
			ts := serveLong(t, &script{text: tt.text + "\x00", finish: loopctl.FinishStop}, letters{}, templateFile(t, tt.template))
			if got := ask(t, ts, weather+`,"chat_template_kwargs":`+tt.kwargs); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// The arguments of a call are streamed while the model writes them, and no empty content is in between.
func TestStreamedArguments(t *testing.T) {
	ts := serveLong(t, &script{text: "so <tool_call>\n<function=add>\n<parameter=x>\nlong text\n</parameter>\n</function>\n</tool_call>\x00", finish: loopctl.FinishStop}, letters{}, templateFile(t, "xml"))
	body := `{"messages":[{"role":"user","content":"q"}],"stream":true,"chat_template_kwargs":{"enable_thinking":false},"tools":[{"type":"function","function":{"name":"add"}}]}`
	var pieces []string
	for i, e := range events(t, chat(t, ts, body).body) {
		var c struct {
			Choices []struct {
				Delta struct {
					Role    string
					Content *string
					Calls   []generate.ToolCall `json:"tool_calls"`
				}
			}
		}
		if err := json.Unmarshal([]byte(e), &c); err != nil {
			t.Fatal(err)
		}
		d := c.Choices[0].Delta
		if d.Content != nil && *d.Content == "" && d.Role == "" {
			t.Errorf("event %d has an empty content: %s", i, e)
		}
		for _, call := range d.Calls {
			if first := len(pieces) == 0; (call.ID != "") != first || (call.Function.Name != "") != first || *call.Index != 0 {
				t.Errorf("event %d: %s", i, e)
			}
			pieces = append(pieces, call.Function.Arguments)
		}
	}
	if all := strings.Join(pieces, ""); all != `{"x": "long text"}` || len(pieces) < 8 {
		t.Errorf("arguments came as %q", pieces)
	}
}

// Clients send the tools that they have with every question. A template without a place for them leaves them out, and says
// so; where a call is asked for, the tools are described in the prompt.
func TestToolsWithoutTemplate(t *testing.T) {
	s := &script{text: oneCall + "\x00", finish: loopctl.FinishStop}
	ts := serveLong(t, s, letters{}, chatML)
	const warning = "tools are left out: the chat template of model adder does not use tools; tool_choice required describes them in the prompt"
	body := `{"messages":[{"role":"user","content":"q"}],"tools":[` + addTool + `]`
	var c struct {
		Warnings []string
		Choices  []struct{ Message struct{ Content string } }
	}
	a := chat(t, ts, body+`}`)
	if err := json.Unmarshal([]byte(a.body), &c); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Warnings, []string{warning}) || a.header.Get("X-Warning") != warning || c.Choices[0].Message.Content != oneCall {
		t.Errorf("%v %s", a.header, a.body)
	}
	if a = chat(t, ts, body+`,"stream":true}`); !strings.Contains(events(t, a.body)[0], warning) || a.header.Get("X-Warning") != warning {
		t.Errorf("%v %s", a.header, a.body)
	}
	if got, _ := (letters{}).Decode(s.requests[0].Prompt, false); got != "<|user|>q<|end|><|assistant|>" {
		t.Errorf("prompt %q", got)
	}
	s.requests = nil
	chat(t, ts, body+`,"tool_choice":"required"}`)
	got, _ := letters{}.Decode(s.requests[0].Prompt, false)
	if !strings.Contains(got, `"description":"adds"`) || !strings.HasSuffix(got, "</tool_call>\n\nq<|end|><|assistant|>") {
		t.Errorf("prompt %q", got)
	}
}

type calledChoice struct {
	Message struct {
		Content   *string
		ToolCalls []struct {
			Function struct{ Name, Arguments string }
		} `json:"tool_calls"`
	}
	Finish string `json:"finish_reason"`
}

func decodeCalls(t *testing.T, a answer) calledChoice {
	t.Helper()
	var c struct{ Choices []calledChoice }
	if err := json.Unmarshal([]byte(a.body), &c); err != nil || len(c.Choices) != 1 {
		t.Fatalf("%v in %s", err, a.body)
	}
	return c.Choices[0]
}
