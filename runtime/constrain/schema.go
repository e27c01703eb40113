package constrain

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Schema is JSON that a schema accepts, of a subset of JSON Schema: type (one or several), properties, required,
// additionalProperties, items, minItems, maxItems, minLength, maxLength, pattern, format, minimum, maximum and their
// exclusive forms (of integers), enum, const, anyOf, allOf of one schema, $ref inside the document. Every other keyword that
// would restrict a value is refused by name. Properties come in the schema's order, and none beside those listed.
func Schema(source []byte) (*Form, error) {
	return form(func(g *grammar) *node { return seq(g.space(), g.document(source, "")) })
}

// document is the values of a whole schema. scope tells its rules from those of the grammar's other documents.
func (g *grammar) document(source []byte, scope string) *node {
	if len(source) > MaxSource {
		return refuse("the schema has %d bytes: at most %d are allowed", len(source), MaxSource)
	}
	if !json.Valid(source) {
		return refuse("the schema is not valid JSON")
	}
	s := &schemas{g: g, root: source, scope: scope}
	return s.node(source, "#")
}

// schemas turns the schemas of a document into grammar.
type schemas struct {
	g     *grammar
	root  json.RawMessage
	scope string // tells this document's rules from those of others in the grammar
}

// annotations say nothing about which values are right.
var annotations = []string{
	"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
}

// kinds are the types, each with the keywords that it knows.
var kinds = map[string][]string{
	"object":  {"properties", "required", "additionalProperties"},
	"array":   {"items", "minItems", "maxItems"},
	"string":  {"minLength", "maxLength", "pattern", "format"},
	"integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
	"number":  nil,
	"boolean": nil,
	"null":    nil,
}

// remedies are for keywords that schemas often have.
var remedies = map[string]string{
	"oneOf": "use anyOf", "allOf": "give one schema with everything in it", "not": "list what is allowed", "if": "use anyOf",
	"patternProperties": "list the properties", "prefixItems": "use an object", "uniqueItems": "leave it out, and check the answer",
	"multipleOf": "leave it out, and check the answer", "minimum": "use it with type integer", "maximum": "use it with type integer",
	"exclusiveMinimum": "use it with type integer", "exclusiveMaximum": "use it with type integer", "$dynamicRef": "use $ref",
}

func unsupported(at, keyword string) *node {
	remedy := remedies[keyword]
	if remedy == "" {
		remedy = "leave it out"
	}
	return refuse("the schema at %s: keyword %q is not supported here: %s", at, keyword, remedy)
}

// node is the values of the schema raw, which stands at a place of the document.
func (s *schemas) node(raw json.RawMessage, at string) *node {
	switch strings.TrimSpace(string(raw)) {
	case "true":
		return s.g.anyValue()
	case "false":
		return never
	}
	o, ok := parseObject(raw)
	if !ok {
		return refuse("the schema at %s must be an object", at)
	}
	for _, a := range annotations {
		delete(o.values, a)
	}
	maps.DeleteFunc(o.values, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "x-") })
	switch {
	case o.has("$ref"):
		return s.reference(o, at)
	case o.has("anyOf"):
		return s.anyOf(o, at)
	case o.has("allOf"):
		return s.allOf(o, at)
	case o.has("enum"), o.has("const"):
		return s.constants(o, at)
	}
	return s.typed(o, at)
}

// only refuses keywords beside those that are named.
func only(o *object, at string, names ...string) {
	for _, name := range o.names {
		if o.has(name) && !slices.Contains(names, name) {
			unsupported(at, name)
		}
	}
}

func (s *schemas) reference(o *object, at string) *node {
	var ref string
	if json.Unmarshal(o.values["$ref"], &ref) != nil {
		return refuse("the schema at %s: $ref must be a string", at)
	}
	only(o, at, "$ref")
	target, ok := resolve(s.root, ref)
	if !ok {
		return refuse("the schema at %s: $ref %q does not resolve: it must be a path inside the schema, such as #/$defs/name", at, shorten(ref))
	}
	return s.g.rule(s.scope+"ref "+ref, func() *node { return s.node(target, ref) })
}

func (s *schemas) anyOf(o *object, at string) *node {
	only(o, at, "anyOf")
	var list []json.RawMessage
	if json.Unmarshal(o.values["anyOf"], &list) != nil || len(list) == 0 {
		return refuse("the schema at %s: anyOf must be a list of schemas", at)
	}
	kids := make([]*node, len(list))
	for i, sub := range list {
		kids[i] = s.node(sub, at+"/anyOf/"+strconv.Itoa(i))
	}
	return alt(kids...)
}

func (s *schemas) allOf(o *object, at string) *node {
	var list []json.RawMessage
	if json.Unmarshal(o.values["allOf"], &list) != nil || len(list) != 1 {
		return unsupported(at, "allOf")
	}
	only(o, at, "allOf")
	return s.node(list[0], at+"/allOf/0")
}

// constants are values that are written out.
func (s *schemas) constants(o *object, at string) *node {
	only(o, at, "enum", "const", "type")
	var list []json.RawMessage
	if o.has("enum") && json.Unmarshal(o.values["enum"], &list) != nil {
		return refuse("the schema at %s: enum must be a list of values", at)
	}
	if o.has("const") {
		if o.has("enum") {
			return unsupported(at, "const")
		}
		list = []json.RawMessage{o.values["const"]}
	}
	types := typesOf(o, at)
	var texts []string
	for _, raw := range list {
		if len(types) > 0 && !slices.ContainsFunc(types, func(t string) bool { return isOf(raw, t) }) {
			continue
		}
		text, err := constant(raw)
		if err != nil {
			refuse("the schema at %s: enum has a value that cannot be written: %s", at, err)
		}
		texts = append(texts, text)
	}
	switch {
	case len(texts) == 0:
		return refuse("the schema at %s: enum has no value of the type", at)
	case len(texts) > MaxChoices:
		return refuse("the schema at %s: enum has %d values: at most %d are allowed", at, len(texts), MaxChoices)
	}
	return literals(texts)
}

// constant is a value's text. Strings are written anew, so that equal ones are written alike.
func constant(raw json.RawMessage) (string, error) {
	var text string
	if raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return marshal(text)
	}
	var out bytes.Buffer
	err := json.Compact(&out, raw)
	return out.String(), err
}

// isOf says whether a value is of a type.
func isOf(raw json.RawMessage, kind string) bool {
	switch raw[0] {
	case '"':
		return kind == "string"
	case '{':
		return kind == "object"
	case '[':
		return kind == "array"
	case 't', 'f':
		return kind == "boolean"
	case 'n':
		return kind == "null"
	}
	return kind == "number" || kind == "integer" && !bytes.ContainsAny(raw, ".eE")
}

// typesOf reads type; nil where it is absent.
func typesOf(o *object, at string) []string {
	if !o.has("type") {
		return nil
	}
	var one string
	var list []string
	if json.Unmarshal(o.values["type"], &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(o.values["type"], &list) != nil || len(list) == 0 {
		refuse("the schema at %s: type must be a string or a list of strings", at)
	}
	for _, t := range list {
		if _, ok := kinds[t]; !ok {
			refuse("the schema at %s: type %q is not one of %s", at, shorten(t), strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
		}
	}
	return list
}

// typed are the values of the schema's types. Keywords restrict values of their own type only; where no type is given,
// they say which it is.
func (s *schemas) typed(o *object, at string) *node {
	types := typesOf(o, at)
	if types == nil {
		for _, t := range slices.Sorted(maps.Keys(kinds)) {
			if slices.ContainsFunc(kinds[t], o.has) {
				types = append(types, t)
			}
		}
	}
	known := []string{"type"}
	for _, t := range types {
		known = append(known, kinds[t]...)
	}
	only(o, at, known...)
	if types == nil {
		return s.g.anyValue()
	}
	if slices.Contains(types, "number") && slices.ContainsFunc(kinds["integer"], o.has) {
		return unsupported(at, kinds["integer"][slices.IndexFunc(kinds["integer"], o.has)])
	}
	var kids []*node
	for _, t := range types {
		n := s.ofType(t, o, at)
		kids = append(kids, n)
	}
	return alt(kids...)
}

func (s *schemas) ofType(kind string, o *object, at string) *node {
	switch kind {
	case "object":
		return s.object(o, at)
	case "array":
		return s.array(o, at)
	case "string":
		return s.text(o, at)
	case "integer":
		return s.integer(o, at)
	case "number":
		return number()
	case "boolean":
		return literals([]string{"true", "false"})
	}
	return literal("null")
}
