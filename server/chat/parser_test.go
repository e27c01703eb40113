package chat

import (
	"math/rand/v2"
	"strings"
	"testing"

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
		content, reasoning, calls = content+p.Content, reasoning+p.Reasoning, append(calls, p.Calls...)
		if n == len(text) {
			return content, reasoning, calls
		}
		text = text[n:]
	}
}

func TestParser(t *testing.T) {
	thinks, opened := answerForm{thinks: true}, answerForm{thinks: true, opened: true}
	tagged, bare := answerForm{calls: taggedCalls}, answerForm{calls: bareCalls, tools: []string{"f", "g"}}
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
