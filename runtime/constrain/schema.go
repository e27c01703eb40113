package constrain

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
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
	d := &document{g, source, scope}
	return d.node(source, "#")
}

// document is what a schema may refer to, and where its grammar is written.
type document struct {
	g     *grammar
	root  json.RawMessage
	scope string
}

// schema is one of a document's, which stands at a place of it.
type schema struct {
	*document
	*object
	at string
}

// annotations say nothing about which values are right.
var annotations = []string{
	"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
}

// kinds are the types, each with the keywords that it knows.
var kinds map[string]kind

type kind struct {
	keywords []string
	values   func(*schema) *node
}

func init() { // the values of objects and lists are of any kind
	kinds = map[string]kind{
		"object":  {[]string{"properties", "required", "additionalProperties"}, (*schema).members},
		"array":   {[]string{"items", "minItems", "maxItems"}, (*schema).array},
		"string":  {[]string{"minLength", "maxLength", "pattern", "format"}, (*schema).text},
		"integer": {[]string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}, (*schema).integer},
		"number":  {nil, func(*schema) *node { return pattern(numberText) }},
		"boolean": {nil, func(*schema) *node { return pattern("true|false") }},
		"null":    {nil, func(*schema) *node { return literal("null") }},
	}
}

// remedies are for keywords that schemas often have.
var remedies = map[string]string{
	"oneOf": "use anyOf", "allOf": "give one schema with everything in it", "not": "list what is allowed", "if": "use anyOf",
	"patternProperties": "list the properties", "prefixItems": "use an object", "uniqueItems": "leave it out, and check the answer",
	"multipleOf": "leave it out, and check the answer", "minimum": "use it with type integer", "maximum": "use it with type integer",
	"exclusiveMinimum": "use it with type integer", "exclusiveMaximum": "use it with type integer", "$dynamicRef": "use $ref",
}

// node is the values of the schema raw.
func (d *document) node(raw json.RawMessage, at string) *node {
	switch strings.TrimSpace(string(raw)) {
	case "true":
		return d.g.anyValue()
	case "false":
		return never
	}
	o, ok := parseObject(raw)
	if !ok {
		return refuse("the schema at %s must be an object", at)
	}
	maps.DeleteFunc(o.values, func(name string, _ json.RawMessage) bool {
		return slices.Contains(annotations, name) || strings.HasPrefix(name, "x-")
	})
	s := &schema{d, o, at}
	switch {
	case s.has("$ref"):
		return s.reference()
	case s.has("anyOf"):
		return s.anyOf()
	case s.has("allOf"):
		return s.allOf()
	case s.has("enum"), s.has("const"):
		return s.constants()
	}
	return s.typed()
}

func (s *schema) refuse(format string, args ...any) *node {
	return refuse("the schema at %s: %s", s.at, fmt.Sprintf(format, args...))
}

func (s *schema) unsupported(keyword string) *node {
	return s.refuse("keyword %q is not supported here: %s", keyword, cmp.Or(remedies[keyword], "leave it out"))
}

// only refuses keywords beside those that are named.
func (s *schema) only(names ...string) {
	for _, name := range s.names {
		if s.has(name) && !slices.Contains(names, name) {
			s.unsupported(name)
		}
	}
}

// read reads a keyword, where it is given. want is what messages call its type.
func (s *schema) read(keyword string, to any, want string) {
	if s.has(keyword) && json.Unmarshal(s.values[keyword], to) != nil {
		s.refuse("%s must be %s", keyword, want)
	}
}

func (s *schema) reference() *node {
	var ref string
	s.read("$ref", &ref, "a string")
	s.only("$ref")
	target, ok := resolve(s.root, ref)
	if !ok {
		return s.refuse("$ref %q does not resolve: it must be a path inside the schema, such as #/$defs/name", shorten(ref))
	}
	return s.g.rule(s.scope+"ref "+ref, func() *node { return s.node(target, ref) })
}

func (s *schema) anyOf() *node {
	s.only("anyOf")
	var list []json.RawMessage
	if s.read("anyOf", &list, "a list of schemas"); len(list) == 0 {
		return s.refuse("anyOf must be a list of schemas")
	}
	kids := make([]*node, len(list))
	for i, sub := range list {
		kids[i] = s.node(sub, s.at+"/anyOf/"+strconv.Itoa(i))
	}
	return alt(kids...)
}

func (s *schema) allOf() *node {
	var list []json.RawMessage
	if json.Unmarshal(s.values["allOf"], &list) != nil || len(list) != 1 {
		return s.unsupported("allOf")
	}
	s.only("allOf")
	return s.node(list[0], s.at+"/allOf/0")
}

// constants are values that are written out.
func (s *schema) constants() *node {
	s.only("enum", "const", "type")
	var list []json.RawMessage
	s.read("enum", &list, "a list of values")
	if s.has("const") {
		if s.has("enum") {
			return s.unsupported("const")
		}
		list = []json.RawMessage{s.values["const"]}
	}
	types := s.types()
	var texts []string
	for _, raw := range list {
		if len(types) == 0 || slices.ContainsFunc(types, func(t string) bool { return isOf(raw, t) }) {
			texts = append(texts, constant(raw))
		}
	}
	switch {
	case len(texts) == 0:
		return s.refuse("enum has no value of the type")
	case len(texts) > MaxChoices:
		return s.refuse("enum has %d values: at most %d are allowed", len(texts), MaxChoices)
	}
	return literals(texts)
}

// constant is a value's text. Strings are written anew, so that equal ones are written alike.
func constant(raw json.RawMessage) string {
	var text string
	if raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return quote(text)
	}
	var out bytes.Buffer
	_ = json.Compact(&out, raw) // the document is valid JSON
	return out.String()
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

// types reads type; nil where it is absent.
func (s *schema) types() []string {
	if !s.has("type") {
		return nil
	}
	var one string
	var list []string
	if json.Unmarshal(s.values["type"], &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(s.values["type"], &list) != nil || len(list) == 0 {
		s.refuse("type must be a string or a list of strings")
	}
	for _, t := range list {
		if _, ok := kinds[t]; !ok {
			s.refuse("type %q is not one of %s", shorten(t), strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
		}
	}
	return list
}

// typed are the values of the schema's types. Keywords restrict values of their own type only; where no type is given,
// they say which it is.
func (s *schema) typed() *node {
	types := s.types()
	if types == nil {
		for _, t := range slices.Sorted(maps.Keys(kinds)) {
			if slices.ContainsFunc(kinds[t].keywords, s.has) {
				types = append(types, t)
			}
		}
	}
	known := []string{"type"}
	for _, t := range types {
		known = append(known, kinds[t].keywords...)
	}
	s.only(known...)
	if types == nil {
		return s.g.anyValue()
	}
	if bounds := kinds["integer"].keywords; slices.Contains(types, "number") {
		if i := slices.IndexFunc(bounds, s.has); i >= 0 {
			return s.unsupported(bounds[i])
		}
	}
	kids := make([]*node, len(types))
	for i, t := range types {
		kids[i] = kinds[t].values(s)
	}
	return alt(kids...)
}
