package constrain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Schema is JSON that a schema accepts: JSON Schema 2020-12 and draft 7, but for the keywords that are refused by name.
// Properties come in the schema's order, and none beside those listed, unless the schema says which.
func Schema(source []byte) (*Form, error) {
	return form(func(g *grammar) *node {
		d := g.open(source, "")
		return seq(g.space(), d.values(quotes, d.root))
	})
}

// document is what a schema may refer to, and where its grammar is written.
type document struct {
	g     *grammar
	root  *value
	scope string // tells its rules from those of the grammar's other documents

	*merging
	loose bool // oneOf may be anyOf: what is asked is only whether there is any value
}

// merging is what is known of a document's schemas, whatever grammar they are written in.
type merging struct {
	work     int
	compared int            // values, since they last came to a piece of work
	numbers  map[*value]int // for names of rules
	groups   map[asked][]group
	negated  map[*value][][]*value
	apart    map[[2]*value]bool
	tagsOf   map[*value]map[string]map[string]bool
	expanded map[string][]*shape
}

// asked is a schema, and how its choices were asked for.
type asked struct {
	*value
	loose bool
}

// open reads a schema.
func (g *grammar) open(source []byte, scope string) *document {
	if len(source) > MaxSource {
		refuse("the schema has %d bytes: at most %d are allowed", len(source), MaxSource)
	}
	if depth := nesting(source); depth > MaxNesting {
		refuse("the schema is nested %d levels deep: at most %d are allowed: put parts under $defs", depth, MaxNesting)
	}
	root, ok := parseJSON(source)
	if !ok {
		refuse("the schema is not valid JSON")
	}
	return &document{g: g, root: root, scope: scope, merging: &merging{
		numbers: map[*value]int{}, groups: map[asked][]group{}, negated: map[*value][][]*value{}, apart: map[[2]*value]bool{}, tagsOf: map[*value]map[string]map[string]bool{}, expanded: map[string][]*shape{},
	}}
}

// nesting is how deep brackets stand inside brackets.
func nesting(source []byte) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(source); i++ {
		switch c := source[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && (c == '{' || c == '['):
			depth++
			deepest = max(deepest, depth)
		case !quoted && (c == '}' || c == ']'):
			depth--
		}
	}
	return deepest
}

func (v *value) refuse(format string, args ...any) *node {
	return refuse("the schema at %s: %s", v.at(), fmt.Sprintf(format, args...))
}

func (v *value) unsupported(keyword string) *node {
	return v.refuse("keyword %q is not supported here: %s", keyword, cmp.Or(remedies[keyword], "leave it out"))
}

// read reads a keyword, where it is given. want is what messages call its type.
func (v *value) read(keyword string, to any, want string) {
	if v.has(keyword) && json.Unmarshal(v.fields[keyword].raw, to) != nil {
		v.refuse("%s must be %s", keyword, want)
	}
}

// list reads a keyword that is a list of schemas, or of values.
func (v *value) list(keyword, of string) []*value {
	f := v.fields[keyword]
	if f.items == nil || len(f.items) == 0 && of == "schemas" {
		v.refuse("%s must be a list of %s", keyword, of)
	}
	return f.items
}

// types are JSON's, with the numbers that are no integers apart.
type types uint8

const (
	nullType types = 1 << iota
	booleanType
	integerType
	fractionType
	stringType
	arrayType
	objectType
	anyType     = 1<<iota - 1
	numberTypes = integerType | fractionType
)

var typesNamed = map[string]types{
	"null": nullType, "boolean": booleanType, "integer": integerType, "number": numberTypes, "string": stringType, "array": arrayType, "object": objectType,
}

// keywords restrict values of some types, and none of the others.
var keywords = map[string]types{
	"properties": objectType, "required": objectType, "additionalProperties": objectType, "patternProperties": objectType,
	"propertyNames": objectType, "minProperties": objectType, "maxProperties": objectType, "unevaluatedProperties": objectType,
	"dependentRequired": objectType, "dependentSchemas": objectType, "dependencies": objectType,
	"items": arrayType, "prefixItems": arrayType, "additionalItems": arrayType, "unevaluatedItems": arrayType, "minItems": arrayType,
	"maxItems": arrayType, "uniqueItems": arrayType, "contains": arrayType, "minContains": arrayType, "maxContains": arrayType,
	"minLength": stringType, "maxLength": stringType, "pattern": stringType, "format": stringType, notPattern: stringType,
	"minimum": numberTypes, "maximum": numberTypes, "exclusiveMinimum": numberTypes, "exclusiveMaximum": numberTypes, "multipleOf": numberTypes,
	// These may speak of any type.
	"type": 0, "enum": 0, "const": 0, notEnum: 0, "$ref": 0, "allOf": 0, "anyOf": 0, "oneOf": 0, "not": 0, "if": 0, "then": 0, "else": 0,
}

// What negation says that JSON Schema has no words for.
const (
	notEnum    = "not enum"
	notPattern = "not pattern"
)

// annotations say nothing about which values are right.
var annotations = []string{
	"$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$comment", "$defs", "$vocabulary", "definitions", "title", "description", "default", "example",
	"examples", "deprecated", "readOnly", "writeOnly", "discriminator", "contentEncoding", "contentMediaType", "contentSchema",
}

// remedies are for keywords that schemas have elsewhere.
var remedies = map[string]string{
	"$dynamicRef": "use $ref", "$recursiveRef": "use $ref", "nullable": `use "type": ["…", "null"]`, "extends": "use allOf",
	"disallow": "use not", "divisibleBy": "use multipleOf",
}

// shape is one of the alternatives that a set of schemas comes to: all of its parts hold, and no choice is left.
type shape struct {
	types types
	typed bool // a part says which types
	parts []*step
	enum  []*value // nil: any
}

// step is a schema that holds, and the one that says so.
type step struct {
	*value
	up      *step
	negated bool // up says what must not be
}

// from says whether s holds because of v, which sees what s says of members and items unless it says that it must not be.
func (s *step) from(v *value) (is, seen bool) {
	if s == nil || s.value == v {
		return s != nil, s != nil
	}
	is, seen = s.up.from(v)
	return is, seen && !s.negated
}

// below says whether s is another schema that p sees.
func (s *step) below(p *step) bool {
	_, seen := s.from(p.value)
	return seen && s.value != p.value
}

// group is a choice: one of the options holds, each a set of schemas.
type group struct {
	options [][]*value
	negated bool
	by      *step
}

// expand finds the alternatives of schemas that all hold.
func (d *document) expand(all []*value) []*shape {
	key := d.key(all)
	if out, ok := d.expanded[key]; ok {
		return out
	}
	var out []*shape
	first := make([]*step, len(all))
	for i, v := range all {
		first[i] = &step{value: v}
	}
	var walk func(s shape, todo []*step, groups []group)
	walk = func(s shape, todo []*step, groups []group) {
		for len(todo) > 0 {
			p := todo[0]
			todo = todo[1:]
			d.spend(p.value, 1)
			loop, _ := p.up.from(p.value)
			switch {
			case loop, p.is("false"): // what refers to nothing but itself has no value
				return
			case p.is("true"), slices.ContainsFunc(s.parts, func(q *step) bool { return q.value == p.value }):
				continue
			}
			further, choices := d.apply(&s, p)
			if s.types == 0 || s.enum != nil && len(s.enum) == 0 {
				return
			}
			todo, groups = slices.Concat(further, todo), slices.Concat(groups, choices)
		}
		if len(groups) == 0 {
			if len(out) == maxAlternatives {
				all[0].refuse("anyOf, oneOf, not or if give more than %d alternatives: use fewer", maxAlternatives)
			}
			out = append(out, &s)
			return
		}
		for _, option := range groups[0].options {
			steps := make([]*step, len(option))
			for i, v := range option {
				steps[i] = &step{v, groups[0].by, groups[0].negated}
			}
			walk(s, steps, groups[1:])
		}
	}
	walk(shape{types: anyType}, first, nil)
	d.expanded[key] = out
	return out
}

// spend counts schemas that are put together.
func (d *document) spend(v *value, n int) {
	if d.work += n; d.work > maxMerged {
		v.refuse("allOf, anyOf, oneOf, not, if and $ref give more than %d combinations: use fewer of them, or make branches differ in type or in one const property", maxMerged)
	}
}

// compare counts values that are compared, of which a thousand are as much work as a schema.
func (d *document) compare(v *value, n int) {
	d.compared += n
	d.spend(v, d.compared/1000)
	d.compared %= 1000
}

// among are the values by what is the same of equal ones.
func among(values []*value) map[string]bool {
	out := map[string]bool{}
	for _, v := range values {
		out[v.same()] = true
	}
	return out
}

// key names a set of schemas.
func (d *document) key(all []*value) string {
	key := fmt.Sprint(d.loose)
	for _, v := range all {
		if _, ok := d.numbers[v]; !ok {
			d.numbers[v] = len(d.numbers)
		}
		key += fmt.Sprint(" ", d.numbers[v])
	}
	return key
}

// apply adds what a schema says to a shape, and returns what else holds.
func (d *document) apply(s *shape, p *step) (further []*step, choices []group) {
	if p.fields == nil {
		p.refuse("it must be an object, or true or false")
	}
	s.parts = append(slices.Clip(s.parts), p)
	for _, name := range p.names {
		v := p.fields[name]
		switch _, known := keywords[name]; {
		case name == "type":
			s.types &= p.typeNames()
			s.typed = true
		case name == "enum" || name == "const":
			list := []*value{v}
			if name == "enum" {
				list = p.list(name, "values")
			}
			if len(list) > MaxChoices {
				p.refuse("enum has %d values: at most %d are allowed", len(list), MaxChoices)
			}
			if s.enum != nil {
				d.compare(p.value, len(s.enum)+len(list))
				both := among(list)
				list = slices.DeleteFunc(slices.Clone(s.enum), func(a *value) bool { return !both[a.same()] })
			}
			s.enum = append([]*value{}, list...)
		case name == "$ref":
			further = append(further, &step{d.reference(p.value), p, false})
		case name == "allOf":
			for _, sub := range p.list(name, "schemas") {
				further = append(further, &step{sub, p, false})
			}
		case name == "nullable" && v.is("false"), slices.Contains(annotations, name), strings.HasPrefix(name, "x-"):
		case !known:
			p.unsupported(name)
		}
	}
	key := asked{p.value, d.loose}
	if _, ok := d.groups[key]; !ok {
		d.groups[key] = d.choices(p.value)
	}
	for _, c := range d.groups[key] {
		choices = append(choices, group{c.options, c.negated, p})
	}
	return further, choices
}

// typeNames reads type.
func (v *value) typeNames() (of types) {
	f := v.fields["type"]
	list := f.items
	if list == nil {
		list = []*value{f}
	}
	for _, t := range list {
		is, ok := typesNamed[t.text()]
		switch {
		case t.raw[0] != '"':
			v.refuse("type must be a string or a list of strings")
		case !ok:
			v.refuse("type %q is not one of %s", shorten(t.text()), strings.Join(slices.Sorted(maps.Keys(typesNamed)), ", "))
		}
		of |= is
	}
	return of
}

// reference is what $ref stands for.
func (d *document) reference(v *value) *value {
	var ref string
	v.read("$ref", &ref, "a string")
	target := d.root.resolve(ref)
	if target == nil {
		v.refuse("$ref %q does not resolve: it must be a path inside the schema, such as #/$defs/name", shorten(ref))
	}
	return target
}

func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
