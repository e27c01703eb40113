package jinja

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

const chatml = `{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}` +
	`{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}` +
	`{%- if enable_thinking is defined and enable_thinking %}<think>{% endif %}`

func mustParse(t testing.TB, src string) *Template {
	t.Helper()
	tmpl, err := Parse(src, Limits{}, Generation)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestRenderChat(t *testing.T) {
	tests := []struct{ name, tpl, want string }{
		{"tools none", "{{ tools }}{{ documents }}", "NoneNone"},
		{"tokens", "{{ bos_token }}{{ eos_token }}{{ pad_token }}", "<s></s><pad>"},
		{"generation", "a{% generation %} b {% endgeneration %}c", "a b c"},
		{"key order", "{{ messages[0]|tojson }}", `{"role": "user", "content": "hi", "a": 1}`},
		{"kwargs", "{{ level }}{{ on }}", "3True"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := mustParse(t, tt.tpl).RenderChat(t.Context(), Chat{
				Messages: json.RawMessage(`[{"role":"user","content":"hi","a":1}]`),
				BOS:      "<s>", EOS: "</s>", Special: map[string]string{"pad_token": "<pad>"},
				Kwargs: map[string]any{"level": 3, "on": true},
			})
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestRenderChatBadInput(t *testing.T) {
	msgs := json.RawMessage(`[{"role":"user","content":"hi"}]`)
	tests := []struct {
		name string
		chat Chat
		want string
	}{
		{"no messages", Chat{}, "messages is missing: give an array"},
		{"messages not an array", Chat{Messages: json.RawMessage(`{}`)}, "messages: a dict is not an array"},
		{"messages not JSON", Chat{Messages: json.RawMessage(`[`)}, "messages: read JSON"},
		{"text after", Chat{Messages: json.RawMessage(`[] 1`)}, "text after the value"},
		{"deep", Chat{Messages: json.RawMessage(strings.Repeat("[", 5000))}, "nested deeper than 200"},
		{"tools not an array", Chat{Messages: msgs, Tools: json.RawMessage(`"x"`)}, "tools: a str is not an array"},
		{"reserved name", Chat{Messages: msgs, Kwargs: map[string]any{"messages": 1}}, `"messages" may not be set`},
		{"a list for content", Chat{Messages: json.RawMessage(`[{"role":"user","content":[]}]`)}, "can only concatenate str"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mustParse(t, chatml).RenderChat(t.Context(), tt.chat)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want …%s…", err, tt.want)
			}
		})
	}
}

// TestLongChats: the budgets grow with the conversation, so honest long ones
// pass.
func TestLongChats(t *testing.T) {
	for _, c := range []struct{ messages, bytes int }{{1, 4 << 20}, {20_000, 20}, {2000, 2000}} {
		msgs := make([]map[string]string, c.messages)
		for i := range msgs {
			msgs[i] = map[string]string{"role": "user", "content": strings.Repeat("é ", c.bytes/3)}
		}
		data, err := json.Marshal(msgs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := mustParse(t, chatml).RenderChat(t.Context(), Chat{Messages: data})
		if err != nil {
			t.Errorf("%d messages of %d bytes: %v", c.messages, c.bytes, err)
		}
		if len(got) < c.messages*(c.bytes-2) {
			t.Errorf("%d messages of %d bytes: %d bytes out", c.messages, c.bytes, len(got))
		}
	}
}

func TestRaised(t *testing.T) {
	_, err := mustParse(t, "\n{{ raise_exception('roles must alternate') }}").RenderChat(t.Context(), Chat{Messages: json.RawMessage(`[]`)})
	if msg, ok := Raised(fmt.Errorf("chat: %w", err)); !ok || msg != "roles must alternate" {
		t.Errorf("got %q %v", msg, ok)
	}
	var e *Error
	if !errors.As(err, &e) || e.Line != 2 {
		t.Errorf("got %v, want line 2", err)
	}
}

// TestShared: one template serves many renders at once.
func TestShared(t *testing.T) {
	tmpl := mustParse(t, "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + m.n %}{% endfor %}{{ ns.n }}")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			got, err := tmpl.RenderChat(t.Context(), Chat{Messages: json.RawMessage(fmt.Sprintf(`[{"n":%d},{"n":1}]`, i))})
			if err != nil || got != fmt.Sprint(i+1) {
				t.Errorf("%d: got %q, %v", i, got, err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkRenderChat(b *testing.B) {
	tmpl := mustParse(b, chatml)
	msgs := json.RawMessage(`[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!"},{"role":"user","content":"What is 2+2?"}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.RenderChat(b.Context(), Chat{Messages: msgs, AddGenerationPrompt: true}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLineOfWhatFails: an expression over several lines is named by its first.
func TestLineOfWhatFails(t *testing.T) {
	for tpl, line := range map[string]int{
		"\n{{ missing(\n1,\n2) }}":                                  2,
		"\n{{ 1 +\n\nnone }}":                                       2,
		"\n{{ 1 | join(\n\n',') }}":                                 2,
		"\n{% for a,\n\nb in [1] %}{% endfor %}":                    2,
		"\n\n{% set a,\n\n\nb = [1] %}":                             3,
		"{% macro m(a) %}{{ a }}{% endmacro %}\n{{ m(\n\n1\n,2) }}": 2,
	} {
		_, err := mustParse(t, tpl).RenderChat(t.Context(), Chat{Messages: json.RawMessage(`[]`)})
		var e *Error
		if !errors.As(err, &e) || e.Line != line {
			t.Errorf("%q: got %v, want line %d", tpl, err, line)
		}
	}
}
