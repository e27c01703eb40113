package constrain_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
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
		f, err := constrain.Calls(callTools, constrain.CallSyntax{
			Open: "<c>\n{\"name\": \"", Middle: `", "arguments": `, Close: "}\n</c>", Between: "\n", Most: most,
		})
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

// Between marks a string stands as it is, without the mark; other values are JSON, as literals of Python are but for its
// words.
func TestMarkedArguments(t *testing.T) {
	tools := []constrain.Tool{{Name: "f", Parameters: json.RawMessage(`{"type":"object","properties":{
		"s":{"type":"string"},"n":{"type":"integer"},"b":{"anyOf":[{"type":"boolean"},{"type":"null"}]},"e":{"enum":["x","y",1]},
		"k":{"$ref":"#/$defs/k"},"d":{"type":"string","format":"date"}},"required":["s","n"],"$defs":{"k":{"type":["string","boolean"],"maxLength":3}}}`)}}
	marked := constrain.CallSyntax{
		Open: "<c=", Middle: ">", Close: "</c>", Between: "\n", Most: -1,
		Arguments: constrain.ArgumentSyntax{Open: "<p=", Middle: ">", Close: "\n</p>"},
	}
	python := constrain.CallSyntax{
		Begin: "[", Middle: "(", Close: ")", Between: ", ", End: "]", Most: -1,
		Arguments: constrain.ArgumentSyntax{Middle: "=", Between: ", ", Python: true},
	}
	const text = `"(?:[^"\\]|\\.)*"`
	for _, tt := range []struct {
		syntax constrain.CallSyntax
		call   string
		want   []string
		not    []string
	}{
		{
			marked, `(?s)^<c=f>(?:<p=s>.*?\n</p>)(?:<p=n>-?\d+\n</p>)(?:<p=b>(?:true|false|null)\n</p>)?(?:<p=e>[xy1]\n</p>)?(?:<p=k>.{0,5}\n</p>)?(?:<p=d>\d{4}-\d\d-\d\d\n</p>)?</c>`,
			[]string{"<c=f><p=s>a < b </ </q\n</p><p=n>1\n</p></c>", "<c=f><p=s>\n</p><p=n>1\n</p><p=e>x\n</p><p=k>true\n</p></c>\n<c=f><p=s><<</\n</p><p=n>1\n</p></c>"},
			[]string{"<c=f><p=n>1\n</p></c>", "<c=f><p=s>a</p>b\n</p><p=n>1\n</p></c>", "<c=f><p=s>a\n</p><p=n>1\n</p><p=e>\"x\"\n</p></c>", "<c=g></c>"},
		},
		{
			python, `^\[f\(s=` + text + `, n=-?\d+(?:, b=(?:True|False|None))?(?:, e=(?:"x"|"y"|1))?(?:, k=(?:` + text + `|True|False))?(?:, d="[-\d]{10}")?\)`,
			[]string{`[f(s="a", n=1, b=None)]`, `[f(s="a)", n=1), f(s="", n=-2, k=True)]`},
			[]string{`[f(s="a", n=1, b=null)]`, `[f(n=1)]`, `[]`, `f(s="a", n=1)`},
		},
	} {
		f, err := constrain.Calls(tools, tt.syntax)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		v, tokens := vocabulary(append(slices.Repeat([]string{"\n</p>"}, 60), pieces...)...) // so that texts do end
		m := automaton(t, f, nil, v)
		for _, text := range tt.want {
			if !accepts(m, text) {
				t.Errorf("%q is not taken", text)
			}
		}
		for _, text := range tt.not {
			if accepts(m, text) {
				t.Errorf("%q is taken", text)
			}
		}
		call, done := regexp.MustCompile(tt.call), 0
		for range 200 {
			if text, ok := write(t, m, tokens, rng, 400); ok {
				done++
				if !call.MatchString(text) {
					t.Fatalf("wrote %q", text)
				}
			}
		}
		if done == 0 {
			t.Error("no text came to its end")
		}
	}
}

// Of a tool that lists no properties, additionalProperties says which values there may be.
func TestMarkedArgumentsOfNoName(t *testing.T) {
	v, _ := vocabulary()
	for _, tt := range []struct{ schema, yes, no string }{
		{`{"type":"object"}`, "<f><p=a>x</p></f>", "<f><a></f>"},
		{`{"type":"object","properties":{},"additionalProperties":false}`, "<f></f>", "<f><p=a>1</p></f>"},
		{`{"type":"object","additionalProperties":{"type":"integer"}}`, "<f><p=a>1</p><p=b>2</p></f>", "<f><p=a>x</p></f>"},
	} {
		f, err := constrain.Calls([]constrain.Tool{{Name: "f", Parameters: json.RawMessage(tt.schema)}}, constrain.CallSyntax{
			Open: "<", Middle: ">", Close: "</f>", Most: 1, Arguments: constrain.ArgumentSyntax{Open: "<p=", Middle: ">", Close: "</p>"},
		})
		if m := automaton(t, f, err, v); !accepts(m, tt.yes) || accepts(m, tt.no) {
			t.Errorf("%s: takes %q: %v, %q: %v", tt.schema, tt.yes, accepts(m, tt.yes), tt.no, accepts(m, tt.no))
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
		{[]constrain.Tool{{Name: "f", Parameters: json.RawMessage(`{"$dynamicRef":"#"}`)}}, `"$dynamicRef" is not supported here: use $ref (parameters of tool "f")`},
		{[]constrain.Tool{{Name: "f", Parameters: json.RawMessage(`{`)}}, "not valid JSON"},
	} {
		_, err := constrain.Calls(tt.tools, constrain.CallSyntax{Most: 1})
		if !errors.Is(err, constrain.ErrForm) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
