package server

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// Every route of the router is in the document, and the reverse.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal(openapiJSON, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi is %q", doc.OpenAPI)
	}
	var described, routed []string
	ids := map[string]bool{}
	for path, operations := range doc.Paths {
		for method, o := range operations {
			described = append(described, strings.ToUpper(method)+" "+path)
			if o.OperationID == "" || ids[o.OperationID] || len(o.Responses) == 0 {
				t.Errorf("%s %s: operationId %q, %d responses", method, path, o.OperationID, len(o.Responses))
			}
			ids[o.OperationID] = true
		}
	}
	for _, r := range New(Config{}, nil, nil).router.Routes() {
		parts := strings.Split(r.Path, "/")
		for i, p := range parts {
			if name, ok := strings.CutPrefix(p, ":"); ok {
				parts[i] = "{" + name + "}"
			} else if name, ok := strings.CutPrefix(p, "*"); ok {
				parts[i] = "{" + name + "}"
			}
		}
		routed = append(routed, r.Method+" "+strings.Join(parts, "/"))
	}
	for _, r := range routed {
		if !slices.Contains(described, r) {
			t.Errorf("%s is not in openapi.json", r)
		}
	}
	for _, d := range described {
		if !slices.Contains(routed, d) {
			t.Errorf("%s is in openapi.json and answers nothing", d)
		}
	}
}
