package chat

import (
	"os"
	"testing"

	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/server/generate"
)

// The syntax of calls is what a template writes of a conversation's past, or else what it speaks of.
func TestSyntax(t *testing.T) {
	list := mistral
	list.Begin, list.Close = "[TOOL_CALLS] [", `, "id": "`+constrain.CallID+`"}`
	tags := constrain.CallSyntax{
		Begin: "<|calls|>", Open: "<|call|>function<|sep|>", Middle: "\n```json\n", Close: "\n```<|/call|>", Between: "\n", End: "<|/calls|>", Most: -1,
	}
	xml := map[string]any{"tool_call_format": "xml"}
	for _, tt := range []struct {
		file   string
		kwargs map[string]any
		want   constrain.CallSyntax
	}{
		{"xml", nil, qwenCoder},
		{"hermes", nil, hermes},
		{"hermes", xml, qwenCoder},
		{"llama", nil, llama},
		{"pythonic", nil, pythonic},
		{"mistral", nil, list},
		{"tags", nil, tags},
	} {
		source, err := os.ReadFile("../testdata/chat/" + tt.file + ".jinja")
		if err != nil {
			t.Fatal(err)
		}
		if got := compiledTemplate(string(source)).syntax(t.Context(), tt.kwargs); got != tt.want {
			t.Errorf("%s %v:\n %+v\n %+v", tt.file, tt.kwargs, got, tt.want)
		}
	}
	for source, want := range map[string]constrain.CallSyntax{
		`{{ tools }} Write <tool_call>{…}</tool_call>`:                                  hermes,
		`{{ tools }} Write <tool_call><function=NAME>…`:                                 qwenCoder,
		`{{ tools }} Write [func_name1(params_name1=params_value1)]`:                    pythonic,
		`{{ tools }} {{ messages[0].content }}`:                                         llama,
		`{% for m in messages %}{{ m.content }}{{ m.tool_calls | tojson }}{% endfor %}`: llama,
	} {
		if got := compiledTemplate(source).syntax(t.Context(), nil); got != want {
			t.Errorf("%s: %+v", source, got)
		}
	}
}

func compiledTemplate(source string) *Template {
	t := &Template{model: &generate.Model{Name: "m"}, eos: "</s>"}
	t.compile(source)
	return t
}

// A switch is a name that the template asks about, or has a default for.
func TestSwitches(t *testing.T) {
	x := compiledTemplate(`{% if a is defined %}{% endif %}{% if b is not defined %}{% set b = 1 %}{% endif %}{% set c = c | default('x') %}{{ d }}
{% if tools is defined %}{% endif %}{{ m.e is defined }}{{ 'f is defined' }}{{ x and g is defined }}{% for i in range(j) %}{{ loop.last }}{% endfor %}
{% macro n(k) %}{{ k }}{% endmacro %}{{ n(1) }}`)
	for name, want := range map[string]bool{"a": true, "b": true, "c": true, "d": true, "tools": false, "e": false, "f": false, "g": true, "h": false, "i": false, "j": true, "k": false, "n": false, "loop": false, "range": false, "": false, ".*": false} {
		if got := x.declares(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
