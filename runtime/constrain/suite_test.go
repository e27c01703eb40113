package constrain_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/runtime/constrain"
)

// TestSuite runs the JSON-Schema-Test-Suite, whose folder tests/ JSON_SCHEMA_TESTS names (github.com/json-schema-org/
// JSON-Schema-Test-Suite; it is not part of this repository). A valid instance must be written by the automaton, with its
// properties in some order, and an invalid one must not.
//
// Two narrowings of ours are not JSON Schema's: keywords without a type say which type is meant, and no property comes
// beside those listed unless the schema says so. The second line of the report is for the same schemas with both said
// explicitly, which changes nothing in JSON Schema.
func TestSuite(t *testing.T) {
	root := os.Getenv("JSON_SCHEMA_TESTS")
	if root == "" {
		t.Skip("JSON_SCHEMA_TESTS is not set")
	}
	for _, draft := range []string{"draft7", "draft2020-12"} {
		for _, explicit := range []bool{false, true} {
			runSuite(t, filepath.Join(root, draft), draft, explicit)
		}
	}
}

func runSuite(t *testing.T, dir, draft string, explicit bool) {
	v, _ := vocabulary()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no tests in ", dir, err)
	}
	var valid, written, invalid, held, tests int
	refused, keyword := map[string]int{}, regexp.MustCompile(`keyword "[^"]*"|not of "[^"]*"|resolve`)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var groups []struct {
			Description string
			Schema      json.RawMessage
			Tests       []struct {
				Description string
				Data        json.RawMessage
				Valid       bool
			}
		}
		if err := json.Unmarshal(data, &groups); err != nil {
			t.Fatal(f, err)
		}
		for _, g := range groups {
			tests += len(g.Tests)
			schema := g.Schema
			if explicit {
				schema = said(t, schema)
			}
			form, err := constrain.Schema(schema)
			var m *constrain.Automaton
			if err == nil {
				m, err = constrain.Compile(form, v)
			}
			if err != nil && !strings.Contains(err.Error(), "no text satisfies") {
				says := keyword.FindString(err.Error())
				if says == "" {
					says = err.Error()
				}
				refused[says] += len(g.Tests)
				continue
			}
			for _, c := range g.Tests {
				var value any
				if err := json.Unmarshal(c.Data, &value); err != nil {
					t.Fatal(err)
				}
				got := m != nil && slices.ContainsFunc(orders(value), func(text string) bool { return accepts(m, text) })
				name := fmt.Sprintf("%s/%s/%s/%s %s of %s", draft, filepath.Base(f), g.Description, c.Description, c.Data, g.Schema)
				if c.Valid {
					if valid++; got {
						written++
					} else if explicit && os.Getenv("VERBOSE") != "" {
						t.Log("not written: ", name)
					}
				} else if invalid++; !got {
					held++
				} else if draft+"/"+filepath.Base(f) != "draft7/ref.json" { // draft 7 ignores what stands beside $ref
					t.Error("written, but invalid: ", name)
				}
			}
		}
	}
	n := 0
	for _, k := range slices.Sorted(maps.Keys(refused)) {
		n += refused[k]
		if explicit {
			t.Logf("  refused: %4d %.120s", refused[k], k)
		}
	}
	t.Logf("%s, open parts said %v: %d tests; refused %d; valid written %d of %d; invalid held off %d of %d", draft, explicit, tests, n, written, valid, held, invalid)
}

// said is a schema with what it leaves open said.
func said(t *testing.T, schema json.RawMessage) json.RawMessage {
	var v any
	if err := json.Unmarshal(schema, &v); err != nil {
		t.Fatal(err)
	}
	closed := !strings.Contains(string(schema), "unevaluated")
	var walk func(v any, isSchema bool)
	walk = func(v any, isSchema bool) {
		o, ok := v.(map[string]any)
		if !ok {
			if list, ok := v.([]any); ok {
				for _, w := range list {
					walk(w, isSchema)
				}
			}
			return
		}
		for name, w := range o {
			switch {
			case !isSchema:
				walk(w, true)
			case slices.Contains([]string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}, name):
				walk(w, false)
			case !slices.Contains([]string{"enum", "const", "default", "examples"}, name):
				walk(w, true)
			}
		}
		if !isSchema {
			return
		}
		if o["type"] == nil {
			o["type"] = []any{"null", "boolean", "number", "string", "array", "object"}
		}
		if o["additionalProperties"] == nil && o["unevaluatedProperties"] == nil && closed {
			o["additionalProperties"] = true
		}
	}
	walk(v, true)
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// orders are a value's texts, with the members of its objects in all orders, up to a number.
func orders(v any) []string {
	const most = 1000
	parts := func(texts [][]string, open, end string) []string {
		out := []string{""}
		for i, options := range texts {
			var next []string
			for _, begin := range out {
				if i > 0 {
					begin += ","
				}
				for _, o := range options {
					if len(next) < most {
						next = append(next, begin+o)
					}
				}
			}
			out = next
		}
		for i := range out {
			out[i] = open + out[i] + end
		}
		return out
	}
	switch v := v.(type) {
	case []any:
		texts := make([][]string, len(v))
		for i, w := range v {
			texts[i] = orders(w)
		}
		return parts(texts, "[", "]")
	case map[string]any:
		var out []string
		var place func(names, left []string)
		place = func(names, left []string) {
			if len(left) == 0 {
				texts := make([][]string, len(names))
				for i, n := range names {
					for _, w := range orders(v[n]) {
						texts[i] = append(texts[i], plain(n)+":"+w)
					}
				}
				out = append(out, parts(texts, "{", "}")...)
			}
			for i := range left {
				if len(out) < most {
					place(append(slices.Clone(names), left[i]), slices.Delete(slices.Clone(left), i, i+1))
				}
			}
		}
		place(nil, slices.Sorted(maps.Keys(v)))
		return out
	}
	return []string{plain(v)}
}

// plain is a value's JSON without escapes of signs that HTML has.
func plain(v any) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
