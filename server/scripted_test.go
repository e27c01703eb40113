package server_test

import (
	"context"
	"flag"
	"net"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

var scripted = flag.String("scripted", "", "address to serve the scripted model on, for scripts/clients")

// actedTemplate is of a model that thinks where it is told to, and calls.
const actedTemplate = `{%- if tools -%}<tools>{% for t in tools %}{{ t.function | tojson }}{% endfor %}</tools>
<tool_call>
{"name": NAME, "arguments": ARGUMENTS}
</tool_call>{%- endif -%}
{%- for m in messages -%}<|{{ m.role }}|>{{ m.content or '' }}
{%- for c in m.tool_calls or [] -%}{{ '<tool_call>\n{"name": "' ~ c.function.name ~ '", "arguments": ' ~ (c.function.arguments | tojson) ~ '}\n</tool_call>' }}{%- endfor -%}
{%- endfor -%}<|assistant|>{%- if enable_thinking -%}<think>{%- endif -%}`

// acted says what a model would: it calls the first tool where there are some, tells of a tool's result, fills in the forms
// that clients ask for, and repeats what was said to it otherwise.
func acted(prompt string) string {
	say := ""
	if strings.HasSuffix(prompt, "<think>") {
		say = "Let me think.</think>"
	}
	_, result, isResult := strings.Cut(prompt, "<|tool|>")
	tool := regexp.MustCompile(`<tools>.*?"name": ?"(\w+)"`).FindStringSubmatch(prompt)
	said := prompt[strings.LastIndex(prompt, "<|user|>")+len("<|user|>"):]
	said, _, _ = strings.Cut(said, "<|assistant|>")
	switch {
	case isResult:
		result, _, _ = strings.Cut(result, "<|")
		say += "The tool says: " + result
	case tool != nil && strings.Contains(tool[1], "weather"):
		say += "<tool_call>\n" + `{"name": "` + tool[1] + `", "arguments": {"city": "Paris"}}` + "\n</tool_call>"
	case tool != nil:
		say += "<tool_call>\n" + `{"name": "` + tool[1] + `", "arguments": {"city": "Paris", "degrees": 21}}` + "\n</tool_call>"
	case strings.Contains(prompt, "[[ ## answer ## ]]"): // DSPy's form
		say += "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]"
	case strings.Contains(prompt, "JSON"):
		say += `{"city": "Paris", "degrees": 21}`
	default:
		say += "You said: " + said
	}
	return say + "\x00"
}

// tolerant reads every text.
type tolerant struct{ letters }

func (t tolerant) Encode(text string, addSpecial bool) ([]int32, error) {
	return t.letters.Encode(strings.Map(func(r rune) rune {
		if r > 255 {
			return '?'
		}
		return r
	}, text), addSpecial)
}

// TestServeScripted is the server of scripts/clients that needs a model which thinks, calls and fills in forms. Without the
// flag it does nothing.
func TestServeScripted(t *testing.T) {
	if *scripted == "" {
		t.Skip("scripts/clients gives -scripted ADDRESS")
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	m := model("actor", &generator{submit: func(reqs ...*loopctl.Request) (out []*loopctl.Stream, _ error) {
		for _, r := range reqs {
			prompt, _ := letters{}.Decode(r.Prompt, false)
			s := &script{text: acted(prompt), finish: loopctl.FinishStop}
			streams, _ := s.submit(r)
			out = append(out, streams...)
		}
		return out, nil
	}})
	m.ChatTemplate, m.Context, m.Tokenizer = actedTemplate, 1<<15, tolerant{}
	srv := serverOf(t, m)
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *scripted)
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(ending); err != nil {
			t.Error(err)
		}
	})
	if err := srv.Serve(l); err != nil {
		t.Error(err)
	}
}
