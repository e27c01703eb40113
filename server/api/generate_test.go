package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/loopserve/loopserve/internal/docs"
)

// go generate ./server/api writes what the table says into the two files that the tests below hold against it. What a field
// is for is written by hand, in openapi.json: so are the schemas of fields that code reads, and of those with examples.
var update = flag.Bool("update", false, "write openapi.json and docs/api.md instead of comparing them")

const openapiFile = "../openapi.json"

// requests are the schemas of openapi.json that the table makes.
var requests = []struct {
	name    string
	route   Route
	example string
}{
	{"CompletionRequest", Completions, `{"model": "adder", "prompt": "123+456+789=", "max_tokens": 8, "temperature": 0, "loops": 8}`},
	{"ChatRequest", Chat, `{"model": "adder@8", "messages": [{"role": "user", "content": "123+456="}], "max_tokens": 8, "temperature": 0}`},
	{"ResponsesRequest", Responses, `{"model": "adder@8", "input": "123+456=", "max_output_tokens": 8, "temperature": 0}`},
	{"MessagesRequest", Messages, `{"model": "adder@8", "messages": [{"role": "user", "content": "123+456="}], "max_tokens": 8, "temperature": 0}`},
	{"EmbeddingRequest", Embeddings, `{"model": "adder", "input": ["1+2=", "2+1="], "loops": 8}`},
	{"BenchRequest", Bench, `{"model": "adder", "loops": [1, 2], "prompt_tokens": [4], "max_tokens": [4], "runs": 1}`},
	{"TokenizeRequest", Tokenize, `{"prompt": "1+2="}`},
	{"DetokenizeRequest", Detokenize, `{"tokens": [4, 5]}`},
}

func TestOpenAPIIsTheTable(t *testing.T) {
	var parts []docs.Part
	for _, r := range requests {
		for _, f := range served(table, r.route) {
			if f.told().help == "" {
				t.Errorf("%s of %s has no description: write one", f.Name, r.name)
			}
		}
		parts = append(parts, docs.Part{Begin: "\n   \"" + r.name + "\": ", End: "\n   }", Text: schemaOf(r.route, r.example)})
	}
	want := docs.Hold(t, openapiFile, *update, "go generate ./server/api", parts...)
	if !json.Valid([]byte(want)) {
		t.Error("openapi.json is not JSON any more")
	}
}

// served are the rows of a route that it takes, those inside an object too.
func served(rows []Field, route Route) []Field {
	return slices.DeleteFunc(slices.Clone(rows), func(f Field) bool { return f.Routes&route == 0 || f.Kind == Refused })
}

// schemaOf is a route's request, with a line for each property.
func schemaOf(route Route, example string) string {
	var b strings.Builder
	b.WriteString("{\n    \"type\": \"object\",\n    \"properties\": {")
	var required []string
	sep := "\n"
	rows := served(table, route)
	for i := range rows {
		f := &rows[i]
		if strings.Contains(f.Name, ".") {
			continue
		}
		fmt.Fprintf(&b, "%s     %q: %s", sep, f.Name, f.schema(rows))
		sep = ",\n"
		if f.Missing != "" {
			required = append(required, f.Name)
		}
	}
	fmt.Fprintf(&b, "\n    },\n    \"required\": %s,\n    \"additionalProperties\": %t,\n    \"examples\": [%s]", list(required), route != Bench, example)
	return b.String()
}

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// schema is a property's, with its description. rows are those of the route: an object finds its fields there.
func (f *Field) schema(rows []Field) string {
	told := f.told()
	help, err := Encode(told.help)
	if err != nil {
		panic(err)
	}
	rest := told.rest
	if f.Kind != Any && !strings.Contains(rest, `"examples"`) {
		rest = ", " + strings.TrimPrefix(f.kindSchema(rows), "{")
	}
	return `{"description": ` + string(help) + rest
}

// told is what openapi.json says of a row: what it is for, and the schema's text behind that.
type told struct{ help, rest string }

func (f *Field) told() told {
	name, inside, nested := strings.Cut(f.Name, ".")
	for _, r := range requests {
		raw := properties()[r.name][name]
		if f.Routes&r.route == 0 || raw == nil {
			continue
		}
		if nested {
			var union struct {
				AnyOf []struct{ Properties map[string]json.RawMessage }
			}
			if err := json.Unmarshal(raw, &union); err != nil || len(union.AnyOf) == 0 {
				continue
			}
			if raw = union.AnyOf[0].Properties[inside]; raw == nil {
				continue
			}
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		var text json.Token
		for range 3 { // {, description, and what it says
			text, _ = d.Token()
		}
		help, _ := text.(string)
		return told{help, string(raw[d.InputOffset():])}
	}
	return told{rest: "}"}
}

// properties are those of each request in openapi.json.
var properties = sync.OnceValue(func() map[string]map[string]json.RawMessage {
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]json.RawMessage }
		}
	}
	data, err := os.ReadFile(openapiFile)
	if err == nil {
		err = json.Unmarshal(data, &doc)
	}
	if err != nil {
		panic(err)
	}
	out := map[string]map[string]json.RawMessage{}
	for name, schema := range doc.Components.Schemas {
		out[name] = schema.Properties
	}
	return out
})

func (f *Field) kindSchema(rows []Field) string {
	const null = `, {"type": "null"}]}`
	integers := `{"type": "integer"` + f.rangeSchema() + "}"
	switch f.Kind {
	case Bool:
		return `{"type": ["boolean", "null"]}`
	case Int, Depth:
		if f.Auto != 0 {
			return `{"anyOf": [` + integers + `, {"const": "auto"}` + null
		}
		if f.True != 0 {
			return `{"anyOf": [{"type": "boolean"}, ` + integers + null
		}
		if slices.Contains(f.Harmless, "false") {
			return `{"anyOf": [` + integers + `, {"const": false}` + null
		}
		return `{"type": ["integer", "null"]` + f.rangeSchema() + "}"
	case Number:
		return `{"type": ["number", "null"]` + f.rangeSchema() + "}"
	case Text:
		switch {
		case len(f.Words) > 0:
			return `{"type": ["string", "null"], "enum": ` + strings.TrimSuffix(list(f.Words), "]") + ", null]}"
		case f.Lo > 0:
			return fmt.Sprintf(`{"type": ["string", "null"], "minLength": %v, "maxLength": %v}`, f.Lo, f.Hi)
		}
		return `{"type": ["string", "null"]}`
	case Object:
		return `{"anyOf": [{"type": "object"` + inner(f.Name, rows) + "}" + null
	case TextList:
		return `{"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string", "minLength": 1}}` + null
	case IDList:
		ids := `{"type": "array", "items": {"type": "integer", "minimum": 0}}`
		if f.Missing != "" {
			return ids
		}
		return `{"anyOf": [` + ids + null
	case IntList:
		return fmt.Sprintf(`{"anyOf": [%s, {"type": "array", "items": %s, "minItems": 1, "maxItems": %d}%s`, integers, integers, mostNumbers, null)
	case DepthList:
		return `{"anyOf": [{"type": "array", "items": ` + integers + `, "minItems": 1}` + null
	}
	return "{}"
}

// inner are the fields of an object that have rows.
func inner(object string, rows []Field) string {
	var out []string
	for i := range rows {
		if name, ok := strings.CutPrefix(rows[i].Name, object+"."); ok {
			out = append(out, fmt.Sprintf("%q: %s", name, rows[i].schema(rows)))
		}
	}
	if out == nil {
		return ""
	}
	return `, "properties": {` + strings.Join(out, ", ") + "}"
}

// rangeSchema is what the row alone says of a number; what a model allows no schema can know.
func (f *Field) rangeSchema() string {
	switch {
	case f.Range != nil:
		return `, "minimum": 1`
	case f.Above:
		return fmt.Sprintf(`, "exclusiveMinimum": %.0f, "maximum": %.0f`, f.Lo, f.Hi)
	case f.Kind == Depth, f.Kind == DepthList:
		if f.Lo < 0 { // what loops_clamp brings into the range
			return `, "minimum": 1`
		}
		return fmt.Sprintf(`, "minimum": %.0f`, f.Lo)
	case f.Lo == 0 && f.Hi == 0:
		return `, "minimum": -9223372036854775808, "maximum": 9223372036854775807`
	}
	return fmt.Sprintf(`, "minimum": %.0f, "maximum": %.0f`, f.Lo, f.Hi)
}
