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
	return form(func(g *grammar) *node {
		switch {
		case len(tools) == 0:
			return refuse("no tools are given")
		case len(tools) > MaxTools:
			return refuse("%d tools are given: at most %d are allowed", len(tools), MaxTools)
		}
		kids := make([]*node, len(tools))
		for i, t := range tools {
			name := quote(t.Name)
			arguments := g.anyObject(g.anyValue())
			if len(t.Parameters) > 0 {
				err := attempt(func() { arguments = g.document(t.Parameters, fmt.Sprintf("tool %d ", i)) })
				if err != nil {
					panic(refusal{fmt.Errorf("%w (parameters of tool %s)", err, name)})
				}
			}
			kids[i] = seq(literal(fmt.Sprintf(`{"name": %s, "%s": `, name, syntax.Arguments)), arguments, literal("}"))
		}
		call := seq(literal(syntax.Open), alt(kids...), literal(syntax.Close))
		return several(call, literal("\n"), 1, syntax.Most)
	})
}
