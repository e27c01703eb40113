package chat

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/server/generate"
)

// cut pushes a text in pieces and joins what comes out. Reasoning and content stay in their order.
func cut(f answerForm, text string, rng *rand.Rand) (content, reasoning string, calls []generate.ToolCall) {
	s := newParser(f)
	for {
		n := len(text)
		if rng != nil && n > 0 {
			n = rng.IntN(min(n, 7) + 1)
		}
		p := s.Push(text[:n], n == len(text))
		content, reasoning = content+p.Content, reasoning+p.Reasoning
		for _, c := range p.Calls {
			if *c.Index == len(calls) {
				calls = append(calls, c)
			} else {
				calls[*c.Index].Function.Arguments += c.Function.Arguments
			}
		}
		if n == len(text) {
			return content, reasoning, calls
		}
		text = text[n:]
	}
}

// weather is a tool whose arguments are of many types.
var weather = constrain.Tool{Name: "weather", Parameters: []byte(`{"type":"object","properties":{
	"city":{"type":"string"},"days":{"type":"integer"},"wind":{"type":"boolean"},"at":{"type":"array"},"unit":{"enum":["C","F"]},
	"near":{"anyOf":[{"type":"string"},{"type":"null"}]},"box":{"$ref":"#/$defs/box"}},"$defs":{"box":{"type":"object"}}}`)}

func TestParser(t *testing.T) {
	thinks, opened := answerForm{thinks: true}, answerForm{thinks: true, opened: true}
	fg := []constrain.Tool{{Name: "f"}, {Name: "g"}}
	taggedCalls := newPatterns(hermes, fg)
	tagged, bare := answerForm{calls: taggedCalls}, answerForm{calls: newPatterns(llama, fg)}
	marked := answerForm{calls: newPatterns(qwenCoder, []constrain.Tool{weather, {Name: "now"}})}
	python := answerForm{calls: newPatterns(pythonic, []constrain.Tool{weather, {Name: "now"}})}
	ids := mistral
	ids.Close = `, "id": "` + constrain.CallID + `"}`
	list := answerForm{calls: newPatterns(ids, fg)}
	tags := answerForm{calls: newPatterns(constrain.CallSyntax{
		Begin: "<|calls|>", Open: "<|call|>function<|sep|>", Middle: "\n```json\n", Close: "\n```<|/call|>", Between: "\n", End: "<|/calls|>", Most: -1,
	}, fg)}
	named := answerForm{calls: newPatterns(constrain.CallSyntax{Open: "<function=", Middle: ">", Close: "</function>", Most: -1}, fg)}
	marks := answerForm{calls: newPatterns(constrain.CallSyntax{Open: "[TOOL_CALLS]", Middle: "[ARGS]", Most: -1}, fg)}
	const two = "<tool_call>\n<function=now>\n</function>\n</tool_call>\n<tool_call>\n<function=now>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>"
	const call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>"
	for _, tt := range []struct {
		name               string
		form               answerForm
		text               string
		content, reasoning string
		calls              string // name and arguments of each
	}{
		{"nothing", thinks, "", "", "", ""},
		{"no reasoning", thinks, "a <think> b", "a <think> b", "", ""},
		{"white space, then none", thinks, " \n", " \n", "", ""},
		{"reasoning", thinks, "\n<think>\na\n\nb \n</think>\n\nc ", "c ", "a\n\nb", ""},
		{"opened", opened, "a\n</think>\n\nc", "c", "a", ""},
		{"empty reasoning", opened, "\n\n</think>\n\nc", "c", "", ""},
		{"unfinished", opened, "a </thin", "", "a </thin", ""},
		{"not opened by text", opened, "<think>\na</think>b", "b", "<think>\na", ""},
		{"hidden", answerForm{thinks: true, opened: true, hidden: true}, "a</think>b", "b", "", ""},
		{"closed twice", opened, "a</think>b</think>c", "b</think>c", "a", ""},

		{"a call", tagged, call, "", "", `f{"x": 1}`},
		{"text and calls", tagged, "Let me see.\n" + call + "\n" + strings.Replace(call, `"f"`, `"g"`, 1) + "\n", "Let me see.", "", `f{"x": 1}g{"x": 1}`},
		{"one only", answerForm{calls: taggedCalls, single: true}, call + call, "", "", `f{"x": 1}`},
		{"text behind", tagged, call + "\n\nso", "so", "", `f{"x": 1}`},
		{"not closed", tagged, strings.TrimSuffix(call, "\n</tool_call>"), "", "", `f{"x": 1}`},
		{"cut short", tagged, "a <tool_call>\n{\"name\": \"f\", \"arg", "a <tool_call>\n{\"name\": \"f\", \"arg", "", ""},
		{"no JSON", tagged, "<tool_call>f(1)</tool_call> b", "<tool_call>f(1)</tool_call> b", "", ""},
		{"no name", tagged, `<tool_call>{"arguments":{}}</tool_call>`, `<tool_call>{"arguments":{}}</tool_call>`, "", ""},
		{"no arguments", tagged, `<tool_call>{"name":"f"}</tool_call>`, "", "", `f{}`},
		{"arguments as text", tagged, `<tool_call>{"name":"f","arguments":"{\"a\":2}"}</tool_call>`, "", "", `f{"a":2}`},
		{"arguments of another kind", tagged, `<tool_call>{"name":"f","arguments":[1]}</tool_call>`, `<tool_call>{"name":"f","arguments":[1]}</tool_call>`, "", ""},
		{"only begins like a mark", tagged, "a <tool b", "a <tool b", "", ""},
		{"thought, then called", answerForm{thinks: true, opened: true, calls: taggedCalls}, "a\n</think>\n\n" + call, "", "a", `f{"x": 1}`},
		{"a call in thought", answerForm{thinks: true, calls: taggedCalls}, "<think>" + call + "</think>b", "b", call, ""},

		{"bare", bare, ` {"name": "f", "parameters": {"x": 1}}`, "", "", `f{"x": 1}`},
		{"bare, of no tool", bare, `{"name": "Bob", "parameters": {}}`, `{"name": "Bob", "parameters": {}}`, "", ""},
		{"JSON", bare, `{"a": 1}`, `{"a": 1}`, "", ""},
		{"bare text", bare, `no {"name": "f"}`, `no {"name": "f"}`, "", ""},
		{"bare white space", bare, "  ", "  ", "", ""},
		{"no tools", answerForm{}, call, call, "", ""},
		{"in another order", tagged, `<tool_call>{"arguments":{"a":1},"name":"f"}</tool_call>`, "", "", `f{"a":1}`},
		{"in another spacing", tagged, "<tool_call>{ \"name\" :\"f\",\n\"parameters\":{\"a\": \"}\\\"\"} }</tool_call>c", "c", "", `f{"a": "}\""}`},

		{
			"marked", marked, "so\n<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\nb",
			"sob", "", `weather{"city": "Oslo", "days": 3}`,
		},
		{
			"marked, of many types", marked, "<tool_call><function=weather><parameter=city>12</parameter><parameter=days>many</parameter><parameter=wind>True</parameter>" +
				"<parameter=at>[1, None]</parameter><parameter=unit>C</parameter><parameter=near>null</parameter><parameter=box>{'a': 'it\\'s'}</parameter></function></tool_call>",
			"", "", `weather{"city": "12", "days": "many", "wind": true, "at": [1, null], "unit": "C", "near": null, "box": {"a": "it's"}}`,
		},
		{
			"marked text", marked, "<tool_call>\n<function=weather>\n<parameter=city>\n  a < b </p\n\n\"c\"\\\n\n</parameter>\n</function>\n</tool_call>",
			"", "", `weather{"city": "  a < b </p\n\n\"c\"\\\n"}`,
		},
		{"marked without arguments", marked, "<tool_call>\n<function=now>\n</function>\n</tool_call>", "", "", `now{}`},
		{"marked, two calls", marked, two, "", "", `now{}now{"x": "1"}`},
		{"marked, one of two", answerForm{calls: marked.calls, single: true}, two, "", "", `now{}`},
		{"marked, not closed", marked, "<tool_call>\n<function=now>\n<parameter=x>\n1\n</parameter>\n", "", "", `now{"x": "1"}`},
		{"marked, cut short", marked, "<tool_call>\n<function=now>\n<parameter=x>\n1", "", "", `now{"x": "1`},
		{
			"marked inside only", marked, "so\n<function=now>\n<parameter=x>\n1\n</parameter>\n</function>\n<function=now>\n</function>\n</tool_call>\nb",
			"sob", "", `now{"x": "1"}now{}`,
		},
		{"a name in its mark", named, "so <function=f>{\"x\": 1}</function>\n<function=g>{}</function>b", "sob", "", `f{"x": 1}g{}`},
		{"a mark and a name each", marks, `so [TOOL_CALLS]f[ARGS]{"x": 1}[TOOL_CALLS]g[ARGS]{}`, "so", "", `f{"x": 1}g{}`},
		{"marked JSON", marked, call, "", "", `f{"x": 1}`},

		{
			"Python", python, `[weather(city="O'slo, (N)", days=3, wind=True, near=None, at=[1, 'b']), now()]`,
			"", "", `weather{"city": "O'slo, (N)", "days": 3, "wind": true, "near": null, "at": [1, "b"]}now{}`,
		},
		{"Python of no tool", python, "[then(a=1)]", "[then(a=1)]", "", ""},
		{"a list", python, "[1, 2]", "[1, 2]", "", ""},
		{"a list of words", python, "[now, then]", "[now, then]", "", ""},

		{
			"a list behind a mark", list, `[TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}, "id": "abcdefghi"}, {"name": "g", "arguments": {}, "id": "abcdefghj"}]`,
			"", "", `f{"x": 1}g{}`,
		},
		{"a list without ids", list, `[TOOL_CALLS][{"name":"f","arguments":{"x":1}},{"name":"g","arguments":{}}]`, "", "", `f{"x":1}g{}`},
		{"a list in another order", list, `[TOOL_CALLS][{"arguments": {"x":1}, "name": "f"}]`, "", "", `f{"x":1}`},
		{
			"marks around all", tags, "a<|calls|><|call|>function<|sep|>f\n```json\n{\"x\":1}\n```<|/call|>\n<|call|>function<|sep|>g\n```json\n{}\n```<|/call|><|/calls|>b",
			"ab", "", `f{"x":1}g{}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for turn := range 200 {
				if turn == 0 {
					rng = nil // in one piece
				} else if rng == nil {
					rng = rand.New(rand.NewPCG(1, 2))
				}
				content, reasoning, calls := cut(tt.form, tt.text, rng)
				said := ""
				for i, c := range calls {
					said += c.Function.Name + c.Function.Arguments
					if *c.Index != i || c.Type != "function" || len(c.ID) != 29 {
						t.Fatalf("call %d is %+v", i, c)
					}
				}
				if strings.TrimSpace(tt.content) == "" {
					content = strings.TrimSpace(content)
					tt.content = ""
				}
				if content != tt.content || reasoning != tt.reasoning || said != tt.calls {
					t.Fatalf("turn %d: %q %q %q", turn, content, reasoning, said)
				}
			}
		})
	}
}
