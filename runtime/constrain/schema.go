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
	return g.open(source, scope).node(source, "#")
}

func (g *grammar) open(source []byte, scope string) *document {
	if len(source) > MaxSource {
		refuse("the schema has %d bytes: at most %d are allowed", len(source), MaxSource)
	}
	if !json.Valid(source) {
		refuse("the schema is not valid JSON")
	}
	return &document{g, source, scope}
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
		"boolean": {nil, func(s *schema) *node { return pattern(s.g.words("true|false")) }},
		"null":    {nil, func(s *schema) *node { return literal(s.g.words("null")) }},
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
	s := d.schema(raw, at)
	switch {
	case s == nil:
		return d.g.anyValue()
	case s == nothing:
		return never
	case s.has("$ref"):
		target, ref := s.reference()
		return s.g.rule(s.scope+"ref "+ref, func() *node { return s.node(target, ref) })
	case s.has("anyOf"), s.has("allOf"):
		return s.branches(s.node)
	case s.has("enum"), s.has("const"):
		texts := s.constants()
		for i, text := range texts {
			texts[i] = s.g.words(text)
		}
		return literals(texts)
	}
	return s.typed(s.types())
}

// nothing is the schema that no value satisfies.
var nothing = &schema{object: &object{}}

// schema reads the schema raw without what says nothing; nil where it allows everything.
func (d *document) schema(raw json.RawMessage, at string) *schema {
	switch strings.TrimSpace(string(raw)) {
	case "true":
		return nil
	case "false":
		return nothing
	}
	o, ok := parseObject(raw)
	if !ok {
		refuse("the schema at %s must be an object", at)
	}
	maps.DeleteFunc(o.values, func(name string, _ json.RawMessage) bool {
		return slices.Contains(annotations, name) || strings.HasPrefix(name, "x-")
	})
	return &schema{d, o, at}
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

// reference returns what $ref stands for, and its place.
func (s *schema) reference() (target json.RawMessage, ref string) {
	s.read("$ref", &ref, "a string")
	s.only("$ref")
	target, ok := Resolve(s.root, ref)
	if !ok {
		s.refuse("$ref %q does not resolve: it must be a path inside the schema, such as #/$defs/name", shorten(ref))
	}
	return target, ref
}

// branches are the values of anyOf's schemas, or of allOf's one.
func (s *schema) branches(values func(raw json.RawMessage, at string) *node) *node {
	keyword := "anyOf"
	if !s.has(keyword) {
		keyword = "allOf"
	}
	var list []json.RawMessage
	err := json.Unmarshal(s.values[keyword], &list)
	switch {
	case keyword == "allOf" && (err != nil || len(list) != 1):
		return s.unsupported(keyword)
	case err != nil || len(list) == 0:
		return s.refuse("anyOf must be a list of schemas")
	}
	s.only(keyword)
	kids := make([]*node, len(list))
	for i, sub := range list {
		kids[i] = values(sub, s.at+"/"+keyword+"/"+strconv.Itoa(i))
	}
	return alt(kids...)
}

// constants are the texts of values that are written out.
func (s *schema) constants() []string {
	s.only("enum", "const", "type")
	var list []json.RawMessage
	s.read("enum", &list, "a list of values")
	if s.has("const") {
		if s.has("enum") {
			s.unsupported("const")
		}
		list = []json.RawMessage{s.values["const"]}
	}
	var types, texts []string
	if s.has("type") {
		types = s.typeNames()
	}
	for _, raw := range list {
		if len(types) == 0 || slices.ContainsFunc(types, func(t string) bool { return isOf(raw, t) }) {
			texts = append(texts, constant(raw))
		}
	}
	switch {
	case len(texts) == 0:
		s.refuse("enum has no value of the type")
	case len(texts) > MaxChoices:
		s.refuse("enum has %d values: at most %d are allowed", len(texts), MaxChoices)
	}
	return texts
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
	of := KindOf(raw)
	return kind == of || kind == "integer" && of == "number" && !bytes.ContainsAny(raw, ".eE")
}

// typeNames reads type, which is there.
func (s *schema) typeNames() []string {
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

// types reads type. Keywords restrict values of their own type only; where no type is given, they say which it is; nil
// where there is neither.
func (s *schema) types() []string {
	if s.has("type") {
		return s.typeNames()
	}
	var types []string
	for _, t := range slices.Sorted(maps.Keys(kinds)) {
		if slices.ContainsFunc(kinds[t].keywords, s.has) {
			types = append(types, t)
		}
	}
	return types
}

// typed are the values of some of the schema's types.
func (s *schema) typed(types []string) *node {
	known := []string{"type"}
	for _, t := range s.types() {
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
