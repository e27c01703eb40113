package main_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Nothing of ours that is there for tests is linked into the binary that ships. (Prometheus's expfmt links testing by way
// of a parser of grammars: the one import that is not ours to remove.)
func TestBinaryLinksNoTestCode(t *testing.T) {
	const ours = "github.com/loopserve/loopserve/"
	out, err := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		if !strings.HasPrefix(names[0], ours) {
			continue
		}
		if strings.HasSuffix(names[0], "test") || strings.HasSuffix(names[0], "/reference") {
			t.Errorf("%s is for tests, and is linked into loopserve", names[0])
		}
		if slices.ContainsFunc(names, func(name string) bool { return name == "testing" || strings.HasPrefix(name, "testing/") }) {
			t.Errorf("%s is linked into loopserve and imports testing", names[0])
		}
	}
}
