package bundle_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/loopserve/loopserve/models/bundle"
)

var update = flag.Bool("update", false, "write manifest.schema.json from the struct")

const schemaFile = "manifest.schema.json"

// The schema is the struct's, so that an editor's check and Parse agree on fields and types. Ranges are Check's.
func TestSchemaIsTrueToTheStruct(t *testing.T) {
	s, err := jsonschema.For[bundle.Manifest](nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "loopserve bundle manifest, version 1"
	want, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not the struct's schema: run `go test ./models/bundle -run Schema -update`", schemaFile)
	}
}

func TestSchemaTakesARealManifest(t *testing.T) {
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = os.ReadFile(filepath.Join(exported(t), bundle.FileName)); err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if err := r.Validate(m); err != nil {
		t.Error(err)
	}
	m["loop_range"] = 3
	if err := r.Validate(m); err == nil {
		t.Error("an unknown field passes the schema")
	}
}
