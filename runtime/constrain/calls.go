package constrain

import (
	"encoding/json"
	"fmt"
)

// MaxTools bounds the tools of one form.
const MaxTools = 128

// Tool is something that a model may call.
type Tool struct {
	Name       string
	Parameters json.RawMessage // JSON schema of the arguments; empty: any object
}

// CallSyntax is how a model writes a call: Open, a JSON object with the name and, under the key Arguments, the arguments,
// Close. Calls after the first one stand on lines of their own.
type CallSyntax struct {
	Open, Close string
	Arguments   string
	Most        int // calls of one text; −1: no bound
}

// Calls is one or more calls of the tools.
func Calls(tools []Tool, syntax CallSyntax) (*Form, error) {
	switch {
	case len(tools) == 0:
		return nil, formError("there is no tool to call")
	case len(tools) > MaxTools:
		return nil, formError("there are %d tools: at most %d are allowed", len(tools), MaxTools)
	}
	g := newGrammar()
	kids := make([]*node, len(tools))
	for i, t := range tools {
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, formError("tool %q: %s", t.Name, err)
		}
		arguments := g.anyObject(g.anyValue())
		if len(t.Parameters) > 0 {
			if arguments, err = g.document(t.Parameters, fmt.Sprintf("tool %d ", i)); err != nil {
				return nil, fmt.Errorf("%w (parameters of tool %s)", err, name)
			}
		}
		kids[i] = seq(literal(fmt.Sprintf(`{"name": %s, "%s": `, name, syntax.Arguments)), arguments, literal("}"))
	}
	call := seq(literal(syntax.Open), alt(kids...), literal(syntax.Close))
	g.start = call
	if syntax.Most != 1 {
		g.start = seq(call, repeat(seq(literal("\n"), call), 0, max(syntax.Most-1, -1)))
	}
	return &Form{g}, nil
}
