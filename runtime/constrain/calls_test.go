package constrain_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/runtime/constrain"
)

var callTools = []constrain.Tool{
	{Name: "add", Parameters: json.RawMessage(`{"type":"object","properties":{"x":{"$ref":"#/$defs/n"}},"required":["x"],"$defs":{"n":{"type":"integer"}}}`)},
	{Name: "say \"it\"", Parameters: json.RawMessage(`{"type":"object","properties":{"y":{"$ref":"#/$defs/n"}},"required":["y"],"$defs":{"n":{"type":"boolean"}}}`)},
	{Name: "now"},
}

// What a random model writes under the form is calls: of tools that there are, with arguments of each one's own schema,
// also where two schemas have parts of the same name.
func TestCalls(t *testing.T) {
	valid := map[string]interface{ Validate(any) error }{}
	for _, tool := range callTools {
		if schema := tool.Parameters; schema != nil {
			valid[tool.Name] = validator(t, string(schema))
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	v, tokens := vocabulary(pieces...)
	for _, most := range []int{1, 2, -1} {
		f, err := constrain.Calls(callTools, constrain.CallSyntax{Open: "<c>\n", Close: "\n</c>", Arguments: "arguments", Most: most})
		if err != nil {
			t.Fatal(err)
		}
		m := automaton(t, f, nil, v)
		seen, longest := map[string]int{}, 0
		for range 300 {
			text, ok := write(t, m, tokens, rng, 400)
			if !ok {
				continue
			}
			calls := strings.Split(text, "\n</c>")
			longest = max(longest, len(calls)-1)
			for i, c := range calls[:len(calls)-1] {
				if i > 0 {
					c = strings.TrimPrefix(c, "\n")
				}
				var call struct {
					Name      string
					Arguments map[string]any
				}
				if err := json.Unmarshal([]byte(strings.TrimPrefix(c, "<c>\n")), &call); err != nil {
					t.Fatalf("%v: %q", err, text)
				}
				if s := valid[call.Name]; s != nil {
					if err := s.Validate(call.Arguments); err != nil {
						t.Fatalf("%v: %q", err, text)
					}
				}
				seen[call.Name]++
			}
		}
		if len(seen) != 3 || seen["add"]*seen["say \"it\""]*seen["now"] == 0 {
			t.Errorf("most %d: called %v", most, seen)
		}
		if most > 0 && longest > most || most != 1 && longest < 2 {
			t.Errorf("most %d: %d calls in one text", most, longest)
		}
	}
}

func TestCallsRefuses(t *testing.T) {
	many := make([]constrain.Tool, constrain.MaxTools+1)
	for _, tt := range []struct {
		tools []constrain.Tool
		want  string
	}{
		{nil, "no tool"},
		{many, "at most 128"},
		{[]constrain.Tool{{Name: "f", Parameters: json.RawMessage(`{"not":{}}`)}}, `"not" is not supported here: list what is allowed (parameters of tool "f")`},
		{[]constrain.Tool{{Name: "f", Parameters: json.RawMessage(`{`)}}, "not valid JSON"},
	} {
		_, err := constrain.Calls(tt.tools, constrain.CallSyntax{Most: 1})
		if !errors.Is(err, constrain.ErrForm) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
