package jinja

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs: the page names every filter, test, method and function, as supported or as refused.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/chat-templates.md")
	if err != nil {
		t.Fatal(err)
	}
	supported, refused, found := strings.Cut(string(data), "## What is refused")
	if !found {
		t.Fatal("the page has no section on what is refused")
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
			if b.fn == nil && b.raw == nil { // Python's own, refused
				continue
			}
			if !yes[part.prefix+name] {
				t.Errorf("the %s %s is not on the page", part.what, name)
			}
		}
	}
	for _, set := range []map[string]bool{refusedFilters, refusedTests, refusedTags, refusedGlobals} {
		for name := range set {
			if !no[name] {
				t.Errorf("%s is refused, which the page does not say", name)
			}
		}
	}
	for c := range directives {
		if !strings.Contains(refused, "%"+string(rune(c))) {
			t.Errorf("the directive %%%c is not on the page", c)
		}
	}
}
