package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// SECURITY.md names the test of each known class: a test that is renamed or gone leaves its promise unproved.
func TestSecurityNamesItsTests(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, at := range regexp.MustCompile(`([\w/.-]+_test\.(?:go|py))((?:\s(?:Test|Fuzz|test_)\w+)+)`).FindAllStringSubmatch(string(text), -1) {
		source, err := os.ReadFile(filepath.Join(root, at[1]))
		if err != nil {
			t.Errorf("SECURITY.md: %v", err)
			continue
		}
		for name := range strings.FieldsSeq(at[2]) {
			if named++; !strings.Contains(string(source), " "+name+"(") {
				t.Errorf("SECURITY.md: %s has no %s", at[1], name)
			}
		}
	}
	if named < 40 {
		t.Errorf("SECURITY.md names %d tests: is its table still read?", named)
	}
}

// The flags that docs/operations.md names for vLLM's are flags of serve, and so is what an error suggests for one that there is not.
func TestFlagsOfOtherServers(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| vLLM | here |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	flags, named := serveCommand().Flags(), 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		for _, ours := range regexp.MustCompile(`--([a-z][\w-]+)`).FindAllStringSubmatch(cells[2], -1) {
			if named++; flags.Lookup(ours[1]) == nil && ours[1] != "enable-ssl-refresh" && ours[1] != "download-dir" {
				t.Errorf("serve has no flag --%s", ours[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("the table names %d flags: is it still read?", named)
	}
	for theirs, ours := range foreignFlags {
		if flags.Lookup(ours) == nil && runCommand().Flags().Lookup(ours) == nil {
			t.Errorf("--%s suggests --%s, which neither serve nor run has", theirs, ours)
		}
	}
}
