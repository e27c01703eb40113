package jinja

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs: docs/api.md names every filter, test, method and function, as supported or as refused.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "\n## Jinja\n")
	section, _, _ = strings.Cut(section, "\n## ")
	supported, refused, cut := strings.Cut(section, "\n### Refused\n")
	if !found || !cut {
		t.Fatal("the page has no section Jinja with a part Refused")
	}
	word := regexp.MustCompile(`[\w.=!<>]+`)
	yes, no := map[string]bool{}, map[string]bool{}
	for _, w := range word.FindAllString(supported, -1) {
		yes[w] = true
	}
	for _, w := range word.FindAllString(refused, -1) {
		no[w] = true
	}
	for _, part := range []struct {
		what, prefix string
		names        table
	}{
		{"filter", "", filters},
		{"test", "", tests},
		{"function", "", globals},
		{"method of str", ".", methods["str"]},
		{"method of dict", ".", methods["dict"]},
		{"method of list", ".", methods["list"]},
	} {
		for name, b := range part.names {
			switch {
			case b.fn == nil && b.raw == nil: // refused
				if part.prefix == "" && !no[name] {
					t.Errorf("the %s %s is refused, which the page does not say", part.what, name)
				}
			case !yes[part.prefix+name]:
				t.Errorf("the %s %s is not on the page", part.what, name)
			}
		}
	}
	for name := range refusedTags {
		if !no[name] {
			t.Errorf("the tag %s is refused, which the page does not say", name)
		}
	}
	for c := range directives {
		if !strings.Contains(refused, "%"+c) {
			t.Errorf("the directive %%%s is not on the page", c)
		}
	}
}
