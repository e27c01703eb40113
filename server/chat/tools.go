package chat

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// toolName is OpenAI's rule, with the points of names in name spaces.
var toolName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// toolOptions is what a chat may call.
type toolOptions struct {
	list   json.RawMessage // as the template shall see it; nil: no tools
	tools  []constrain.Tool
	forced bool // the answer must be a call, of one of tools
	single bool
}

// readTools reads tools, tool_choice and parallel_tool_calls.
func readTools(v *api.Values) (toolOptions, error) {
	w := toolOptions{single: !v.Bool("parallel_tool_calls")}
	choice, name, err := readToolChoice(v.Raw("tool_choice"))
	if err != nil {
		return w, err
	}
	list := v.Raw("tools")
	if list == nil || api.Compact(list) == "[]" {
		if choice == "required" || name != "" {
			return w, api.Bad("tool_choice", api.CodeValue, "tool_choice asks for a call and there are no tools: give tools, or leave it out")
		}
		return w, nil
	}
	if w.tools, err = readToolList(list); err != nil {
		return w, err
	}
	if choice == "none" {
		return toolOptions{}, nil
	}
	w.list, w.forced = list, choice == "required"
	if name == "" {
		return w, nil
	}
	at := slices.IndexFunc(w.tools, func(t constrain.Tool) bool { return t.Name == name })
	if at < 0 {
		return w, api.Bad("tool_choice", api.CodeValue, "tool_choice names the function %s, which is not among tools", api.Quote(name))
	}
	w.tools, w.forced, w.single = w.tools[at:at+1], true, true
	return w, nil
}

// readToolChoice returns a word, or the name of a function that must be called.
func readToolChoice(raw json.RawMessage) (choice, name string, err error) {
	const want = `"auto", "none", "required", or {"type": "function", "function": {"name"}}`
	if raw == nil {
		return "auto", "", nil
	}
	if json.Unmarshal(raw, &choice) == nil {
		if !slices.Contains([]string{"auto", "none", "required"}, choice) {
			err = api.Bad("tool_choice", api.CodeValue, "tool_choice is %s: it must be %s", api.Quote(choice), want)
		}
		return choice, "", err
	}
	var one struct {
		Type     string
		Function struct{ Name string }
	}
	if json.Unmarshal(raw, &one) != nil || one.Type != "function" || one.Function.Name == "" {
		return "", "", api.Bad("tool_choice", api.CodeType, "tool_choice is %s: it must be %s", api.Show(raw), want)
	}
	return "", one.Function.Name, nil
}

func readToolList(raw json.RawMessage) ([]constrain.Tool, error) {
	var list []struct {
		Type     string
		Function constrain.Tool
	}
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, api.Bad("tools", api.CodeType, `tools is %s: it must be a list of {"type": "function", "function": {…}}`, api.Show(raw))
	}
	if len(list) > constrain.MaxTools {
		return nil, api.Bad("tools", "request_too_large", "tools has %d entries: at most %d are allowed", len(list), constrain.MaxTools)
	}
	out := make([]constrain.Tool, len(list))
	for i, tool := range list {
		switch {
		case tool.Type != "function" || tool.Function.Name == "":
			return nil, api.Bad("tools", api.CodeValue, `tools[%d] must have "type": "function" and a function with a name`, i)
		case !toolName.MatchString(tool.Function.Name):
			return nil, api.Bad("tools", api.CodeValue, "tools[%d].function.name is %s: it must be 1 to 64 letters, digits, _, - and points", i, api.Quote(tool.Function.Name))
		}
		out[i] = tool.Function
		if p := api.Compact(tool.Function.Parameters); p == "null" || p == "{}" {
			out[i].Parameters = nil
		}
	}
	return out, nil
}

// answerForm is the form of a text that is nothing but calls, as parser reads them.
func (w toolOptions) answerForm(s constrain.CallSyntax) generate.Form {
	if w.single {
		s.Most = 1
	}
	key, _ := json.Marshal(w.tools) // raw JSON that was parsed
	return generate.Form{
		Field: "tool_choice", Source: fmt.Sprintf("calls %+v %s", s, key),
		Compile: func() (*constrain.Form, error) { return constrain.Calls(w.tools, s) },
	}
}

// prompt describes the tools to a model whose template does not.
func (w toolOptions) prompt() string {
	return "You have these functions:\n" + api.Compact(w.list) + "\nCall one by answering with nothing but\n" +
		hermes.Open + "NAME" + hermes.Middle + "ARGUMENTS" + hermes.Close + "\n\n"
}
