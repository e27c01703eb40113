package chat

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/server/generate"
)

// readValue makes JSON of the argument's value that text begins with. Of a string it returns what is sure to belong to it,
// so that it can be passed on while it comes; a value of any other kind is read as a whole.
func readValue(text string, a constrain.ArgumentSyntax, kinds []string, last bool) (value, rest string, done bool) {
	if a.Python {
		n, done := extent(text)
		if !done {
			return "", text, false
		}
		return fromPython(strings.TrimSpace(text[:n])), text[n:], true
	}
	mark, before, behind := a.Mark(), trailing(a.Middle), a.Close[:strings.Index(a.Close, a.Mark())]
	if len(text) < len(before) && !last {
		return "", text, false
	}
	text = strings.TrimPrefix(text, before)
	body, rest, done := strings.Cut(text, mark)
	if done {
		body = strings.TrimSuffix(body, behind)
	} else if !last {
		body = text[:len(text)-max(generate.Partial(text, behind+mark), generate.Partial(text, mark))]
	}
	switch {
	case len(kinds) == 0:
		value = string(quoted(body))
		if !done {
			value = strings.TrimSuffix(value, `"`)
		}
	case done || last:
		value = coerce(body, kinds)
	}
	return value, rest, done
}

// extent is how many bytes an object of JSON or a literal of Python has that text begins with, and whether it ends there:
// with its own bracket, or before a comma or bracket that does not belong to it.
func extent(text string) (n int, done bool) {
	depth, quote := 0, byte(0)
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quote != 0 && b == '\\':
			i++
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '"' || b == '\'':
			quote = b
		case strings.IndexByte("([{", b) >= 0:
			depth++
		case depth == 0 && (b == ',' || b == ')'):
			return i, true
		case strings.IndexByte(")]}", b) >= 0:
			if depth--; depth == 0 {
				return i + 1, true
			}
		}
	}
	return len(text), false
}

// coerce makes JSON of a value that a model wrote as text, of one of the kinds; a string where it is none of them.
func coerce(text string, kinds []string) string {
	for _, candidate := range []string{strings.TrimSpace(text), fromPython(strings.TrimSpace(text))} {
		if json.Valid([]byte(candidate)) && slices.Contains(kinds, constrain.KindOf([]byte(candidate))) {
			return candidate
		}
	}
	return string(quoted(text))
}

// pythonToken finds what Python writes unlike JSON: strings in single quotes and words. Strings in double quotes are passed
// over.
var pythonToken = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\b(?:True|False|None)\b`)

// fromPython is a literal of Python as JSON; what is no such literal becomes a string.
func fromPython(text string) string {
	words := map[string]string{"True": "true", "False": "false", "None": "null"}
	value := pythonToken.ReplaceAllStringFunc(text, func(token string) string {
		if token[0] == '\'' {
			return string(quoted(strings.NewReplacer(`\'`, `'`, `\\`, `\`, `\n`, "\n", `\t`, "\t").Replace(token[1 : len(token)-1])))
		}
		return cmp.Or(words[token], token)
	})
	if !json.Valid([]byte(value)) {
		return string(quoted(text))
	}
	return value
}

// kindsOf are the kinds of values, beside strings, that a tool's schema allows for one of its arguments; none where it does
// not say. References may lead round: it looks at so many schemas and no more.
func kindsOf(parameters json.RawMessage, argument string) (kinds []string) {
	var object struct{ Properties map[string]json.RawMessage }
	_ = json.Unmarshal(parameters, &object) // what is no object has no properties
	look := []json.RawMessage{object.Properties[argument]}
	for left := 64; left > 0 && len(look) > 0; left-- {
		schema := look[0]
		look = look[1:]
		var s struct {
			Type, Const               json.RawMessage
			Ref                       string `json:"$ref"`
			AnyOf, OneOf, AllOf, Enum []json.RawMessage
		}
		if json.Unmarshal(schema, &s) != nil {
			continue
		}
		if target, ok := constrain.Resolve(parameters, s.Ref); ok {
			look = append(look, target)
		}
		look = slices.Concat(look, s.AnyOf, s.OneOf, s.AllOf)
		types := strings.ReplaceAll(string(s.Type), "integer", "number") // one, or a list
		for _, value := range append(s.Enum, s.Const) {
			if len(value) > 0 {
				types += `"` + constrain.KindOf(value) + `"`
			}
		}
		for _, kind := range []string{"object", "array", "boolean", "null", "number"} {
			if strings.Contains(types, `"`+kind+`"`) {
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
}
