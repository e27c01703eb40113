package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/security.md names the test of each known class: a test that is renamed or gone leaves its promise unproved.
func TestSecurityNamesItsTests(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, at := range regexp.MustCompile(`([\w/.-]+_test\.(?:go|py))((?:\s(?:Test|Fuzz|test_)\w+)+)`).FindAllStringSubmatch(string(text), -1) {
		source, err := os.ReadFile(filepath.Join(root, at[1]))
		if err != nil {
			t.Errorf("docs/security.md: %v", err)
			continue
		}
		for name := range strings.FieldsSeq(at[2]) {
			if named++; !strings.Contains(string(source), " "+name+"(") {
				t.Errorf("docs/security.md: %s has no %s", at[1], name)
			}
		}
	}
	if named < 40 {
		t.Errorf("docs/security.md names %d tests: is its table still read?", named)
	}
}
