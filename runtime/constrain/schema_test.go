package constrain_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/loopserve/loopserve/runtime/constrain"
)

// validator is another implementation's opinion of a schema.
func validator(t *testing.T, schema string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("https://loopserve/schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("https://loopserve/schema.json")
	if err != nil {
		t.Fatalf("%v in %s", err, schema)
	}
	return s
}

// checkSchema lets a random model write n texts and returns how many came to an end; each of those must be valid.
func checkSchema(t *testing.T, schema string, n int, rng *rand.Rand) (ended int) {
	t.Helper()
	v, tokens := vocabulary(pieces...)
	f, err := constrain.Schema([]byte(schema))
	if err != nil {
		t.Fatalf("%v of %s", err, schema)
	}
	m := automaton(t, f, nil, v)
	valid := validator(t, schema)
	for range n {
		text, ok := write(t, m, tokens, rng, 400)
		if !ok {
			continue
		}
		ended++
		var any any
		if err := json.Unmarshal([]byte(text), &any); err != nil {
			t.Fatalf("%v: %q of %s", err, text, schema)
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		if err := valid.Validate(doc); err != nil {
			t.Fatalf("%v\n%s\nof %s", err, text, schema)
		}
	}
	return ended
}

var schemas = []string{
	`{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}`,
	`{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"boolean"},"c":{"type":"null"},"d":true}}`,
	`{"type":"object","properties":{"x":{"enum":["red","green",1,null,{"k":[1]}]}},"required":["x","y"]}`,
	`{"type":"object"}`, `{"type":"object","additionalProperties":{"type":"integer"}}`, `{"type":"object","additionalProperties":false}`,
	`{"type":"array","items":{"type":"string","maxLength":3},"minItems":2,"maxItems":4}`,
	`{"type":"array","items":{"type":"array","items":{"type":"boolean"}},"maxItems":2}`, `{"type":"array","maxItems":0}`, `{"type":"array"}`,
	`{"type":["string","null"],"minLength":2,"maxLength":5}`, `{"type":"string","minLength":3}`,
	`{"type":"string","pattern":"^[a-z]{2,4}-[0-9]+$"}`, `{"type":"string","pattern":"b\"\\\\c"}`, `{"type":"string","pattern":"^[^a]*$"}`,
	`{"type":"string","format":"date-time"}`, `{"type":"string","format":"date"}`, `{"type":"string","format":"time"}`,
	`{"type":"string","format":"uuid"}`, `{"type":"string","format":"ipv4"}`, `{"type":"string","format":"email"}`,
	`{"type":"integer","minimum":-12,"maximum":345}`, `{"type":"integer","exclusiveMinimum":9,"exclusiveMaximum":1000.5}`, `{"type":"integer","minimum":100}`,
	`{"type":"integer","maximum":-7}`, `{"minimum":3,"type":"integer"}`,
	`{"const":"a\u0022b"}`, `{"enum":["a","ab","b"],"type":"string"}`, `{"enum":[1,"1",1.5,true],"type":["integer","boolean"]}`,
	`{"anyOf":[{"type":"integer"},{"type":"object","properties":{"n":{"$ref":"#"}},"required":["n"]}]}`,
	`{"$defs":{"node":{"type":"object","properties":{"value":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["value","next"]}},"$ref":"#/$defs/node"}`,
	`{"type":"object","properties":{"steps":{"type":"array","items":{"type":"object","properties":{"explanation":{"type":"string"},"output":{"type":"string"}},"required":["explanation","output"],"additionalProperties":false}},"final_answer":{"type":"string"}},"required":["steps","final_answer"],"additionalProperties":false,"title":"MathReasoning"}`,
	`{"properties":{"q\"uote":{"type":"integer"},"<é>":{"allOf":[{"type":"string"}]}},"type":"object","required":["q\"uote"]}`, `{}`, `true`,
	`{"anyOf":[{"type":"array","items":{"enum":["aaaaaaaaaa"]},"minItems":1},{"type":"array","items":{"enum":["bbbbbbbbbb"]},"minItems":1}]}`,
}

func TestSchemas(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range schemas {
		t.Run(s[:min(len(s), 60)], func(t *testing.T) {
			if ended := checkSchema(t, s, 40, rng); ended < 15 && !strings.Contains(s, `"b`) { // a pattern without anchors seldom comes to its end by chance
				t.Errorf("%d of 40 ended", ended)
			}
		})
	}
}

// random writes a schema of the subset.
func random(rng *rand.Rand, depth int) map[string]any {
	kinds := []string{"string", "integer", "number", "boolean", "null", "enum", "array", "object", "anyOf"}
	if depth == 0 {
		kinds = kinds[:6]
	}
	switch kind := kinds[rng.IntN(len(kinds))]; kind {
	case "string":
		lo := rng.IntN(4)
		return []map[string]any{
			{"type": kind}, {"type": kind, "minLength": lo, "maxLength": lo + rng.IntN(4)}, {"type": kind, "pattern": "^[a-f\"]+$"},
		}[rng.IntN(3)]
	case "integer":
		lo := rng.IntN(2000) - 1000
		return []map[string]any{{"type": kind}, {"type": kind, "minimum": lo, "maximum": lo + rng.IntN(3000)}}[rng.IntN(2)]
	case "enum":
		values := []any{"a", "b c", 1, true, nil, []int{1, 2}, map[string]any{"k": "v"}}
		rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		return map[string]any{"enum": values[:1+rng.IntN(4)]}
	case "array":
		lo := rng.IntN(3)
		return map[string]any{"type": kind, "items": random(rng, depth-1), "minItems": lo, "maxItems": lo + rng.IntN(3)}
	case "object":
		properties, required := map[string]any{}, []string{}
		for i := range rng.IntN(5) {
			name := fmt.Sprintf("p%d", i)
			properties[name] = random(rng, depth-1)
			if rng.IntN(2) == 0 {
				required = append(required, name)
			}
		}
		return map[string]any{"type": kind, "properties": properties, "required": required, "additionalProperties": false}
	case "anyOf":
		return map[string]any{kind: []any{random(rng, depth-1), random(rng, depth-1)}}
	default:
		return map[string]any{"type": kind}
	}
}

func TestRandomSchemas(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	ended := 0
	for range 150 {
		data, err := json.Marshal(random(rng, 3))
		if err != nil {
			t.Fatal(err)
		}
		ended += checkSchema(t, string(data), 6, rng)
	}
	if ended < 600 {
		t.Errorf("%d of 900 ended", ended)
	}
}

func TestSchemaRefuses(t *testing.T) {
	for _, tt := range []struct{ schema, says string }{
		{`{"oneOf":[true]}`, `keyword "oneOf" is not supported here: use anyOf`},
		{`{"type":"array","uniqueItems":true}`, `at #: keyword "uniqueItems" is not supported`},
		{`{"type":"object","properties":{"a":{"type":"number","minimum":1}}}`, `at #/properties/a: keyword "minimum" is not supported here: use it with type integer`},
		{`{"type":"string","minimum":1}`, `keyword "minimum"`},
		{`{"frobnicate":1}`, `keyword "frobnicate"`},
		{`{"anyOf":[{"type":"string"}],"type":"string"}`, `keyword "type"`},
		{`{"allOf":[true,true]}`, `keyword "allOf"`},
		{`{"type":"thing"}`, `type "thing" is not one of`},
		{`{"type":7}`, `type must be`},
		{`7`, `must be an object`},
		{`{`, `not valid JSON`},
		{`{"$ref":"#/nope"}`, `does not resolve`},
		{`{"$ref":"http://x/y"}`, `does not resolve`},
		{`{"$ref":"#","type":"string"}`, `keyword "type"`},
		{`{"$ref":"#"}`, `no text satisfies it`},
		{`false`, `no text satisfies it`},
		{`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`, `no text satisfies it`},
		{`{"type":"object","required":["a"],"additionalProperties":false}`, `"a" is required, but properties does not list it`},
		{`{"type":"string","minLength":5,"maxLength":4}`, `no value satisfies both`},
		{`{"type":"string","maxLength":1e9}`, `at most 1000`},
		{`{"type":"string","maxLength":-1}`, `at least 0`},
		{`{"type":"string","pattern":"a","maxLength":1}`, `together`},
		{`{"type":"string","pattern":"("}`, `missing closing`},
		{`{"type":"string","format":"iri"}`, `format "iri"`},
		{`{"type":"integer","minimum":2,"maximum":1}`, `no integer`},
		{`{"enum":["a"],"type":"integer"}`, `no value of the type`},
		{`{"enum":[]}`, `no value`},
		{`{"type":"array","minItems":1000,"maxItems":1000,"items":{"type":"array","minItems":1000,"items":{"type":"string","minLength":1000}}}`, ``},
		{`{"type":"object","properties":` + strings.Repeat(`{"a":{"type":"object","properties":`, 300) + `{}` + strings.Repeat(`}}`, 300) + `}`, ``},
	} {
		f, err := constrain.Schema([]byte(tt.schema))
		if err == nil {
			v, _ := vocabulary()
			_, err = constrain.Compile(f, v)
		}
		if tt.says == "" {
			continue // refused or not: it must end soon
		}
		if !errors.Is(err, constrain.ErrForm) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.80s: %v, want %q", tt.schema, err, tt.says)
		}
	}
}

func FuzzSchema(f *testing.F) {
	for _, s := range schemas {
		f.Add([]byte(s))
	}
	v, tokens := vocabulary(pieces...)
	f.Fuzz(func(t *testing.T, data []byte) {
		form, err := constrain.Schema(data)
		if err != nil {
			return
		}
		m, err := constrain.Compile(form, v)
		if err != nil {
			return
		}
		if text, ok := write(t, m, tokens, rand.New(rand.NewPCG(uint64(len(data)), 1)), 60); ok && !json.Valid([]byte(text)) {
			t.Fatalf("%q", text)
		}
	})
}

func FuzzRegex(f *testing.F) {
	for _, e := range expressions {
		f.Add(e)
	}
	v, tokens := vocabulary(pieces...)
	f.Fuzz(func(t *testing.T, e string) {
		form, err := constrain.Regex(e)
		if err != nil {
			return
		}
		m, err := constrain.Compile(form, v)
		if err != nil {
			return
		}
		write(t, m, tokens, rand.New(rand.NewPCG(uint64(len(e)), 1)), 40)
	})
}
