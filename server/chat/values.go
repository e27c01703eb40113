package chat

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/server/generate"
)

// valueReader turns an argument's value into JSON. A string between marks is passed on while it comes; a value of any other
// type is read as a whole.
type valueReader struct {
	constrain.ArgumentSyntax
	types []string // that the tool's schema allows; none: a string

	begun bool // the white space that the syntax has before a value is gone
	said  bool // of a string: its first quote
}

func newValue(a constrain.ArgumentSyntax, types []string) *valueReader {
	return &valueReader{ArgumentSyntax: a, types: types}
}

// read returns JSON of what belongs to the value, and what is held back or follows.
func (v *valueReader) read(text string, last bool) (value, rest string, done bool) {
	if v.Python {
		n, done := literalEnd(text)
		if !done {
			return "", text, false
		}
		return fromPython(strings.TrimSpace(text[:n])), text[n:], true
	}
	mark, before, behind := v.Mark(), trailing(v.Middle), v.Close[:strings.Index(v.Close, v.Mark())]
	if !v.begun {
		if len(text) < len(before) && !last {
			return "", text, false
		}
		text, v.begun = strings.TrimPrefix(text, before), true
	}
	body, rest, done := strings.Cut(text, mark)
	if done {
		body = strings.TrimSuffix(body, behind)
	} else if !last {
		held := max(generate.Partial(text, behind+mark), generate.Partial(text, mark))
		body, rest = text[:len(text)-held], text[len(text)-held:]
	}
	if slices.ContainsFunc(v.types, func(t string) bool { return t != "string" }) {
		if !done && !last {
			return "", text, false
		}
		return string(coerce(body, v.types)), rest, done
	}
	quote := quoted(body)
	value = string(quote[1 : len(quote)-1])
	if !v.said {
		value, v.said = `"`+value, true
	}
	if done {
		value += `"`
	}
	return value, rest, done
}

// coerce makes JSON of a value that a model wrote as text, of one of the types; a string where it is none of them.
func coerce(text string, types []string) json.RawMessage {
	for _, candidate := range []string{strings.TrimSpace(text), fromPython(strings.TrimSpace(text))} {
		if json.Valid([]byte(candidate)) && slices.ContainsFunc(types, func(t string) bool { return isOf(candidate, t) }) {
			return json.RawMessage(candidate)
		}
	}
	return quoted(text)
}

// isOf says whether JSON is of a type of JSON Schema other than string.
func isOf(value, kind string) bool {
	switch value[0] {
	case '{':
		return kind == "object"
	case '[':
		return kind == "array"
	case 't', 'f':
		return kind == "boolean"
	case 'n':
		return kind == "null"
	case '"':
		return false
	}
	return kind == "number" || kind == "integer"
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
		if word, ok := words[token]; ok {
			return word
		}
		return token
	})
	if !json.Valid([]byte(value)) {
		return string(quoted(text))
	}
	return value
}

// literalEnd finds where a literal of Python ends: at a comma or bracket that does not belong to it.
func literalEnd(text string) (n int, done bool) {
	depth, quote, escaped := 0, byte(0), false
	for i := range len(text) {
		switch b := text[i]; {
		case escaped:
			escaped = false
		case quote != 0:
			if escaped = b == '\\'; b == quote {
				quote = 0
			}
		case b == '"' || b == '\'':
			quote = b
		case strings.IndexByte("([{", b) >= 0:
			depth++
		case depth == 0 && (b == ',' || b == ')'):
			return i, true
		case strings.IndexByte(")]}", b) >= 0:
			depth--
		}
	}
	return len(text), false
}

// typesOf are the types that a tool's schema allows for one of its arguments; none where it does not say.
func typesOf(schema json.RawMessage, argument string) []string {
	var s struct{ Properties map[string]json.RawMessage }
	_ = json.Unmarshal(schema, &s) // what is no object has no properties
	f := typeFinder{root: schema, left: 64}
	return f.types(s.Properties[argument])
}

// typeFinder follows references, which may lead round.
type typeFinder struct {
	root json.RawMessage
	left int // schemas that may still be looked at
}

func (f *typeFinder) types(schema json.RawMessage) (out []string) {
	var s struct {
		Type                any
		Ref                 string `json:"$ref"`
		AnyOf, OneOf, AllOf []json.RawMessage
		Enum                []any
		Const               any
	}
	if f.left--; f.left < 0 || json.Unmarshal(schema, &s) != nil {
		return nil
	}
	switch t := s.Type.(type) {
	case string:
		return []string{t}
	case []any:
		for _, name := range t {
			if text, ok := name.(string); ok {
				out = append(out, text)
			}
		}
		return out
	}
	if target, ok := constrain.Resolve(f.root, s.Ref); ok && s.Ref != "" {
		return f.types(target)
	}
	for _, sub := range slices.Concat(s.AnyOf, s.OneOf, s.AllOf) {
		out = append(out, f.types(sub)...)
	}
	for _, value := range append(s.Enum, s.Const) {
		switch value.(type) {
		case string:
			out = append(out, "string")
		case float64:
			out = append(out, "number")
		case bool:
			out = append(out, "boolean")
		}
	}
	return out
}
