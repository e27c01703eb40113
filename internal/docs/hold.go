package docs

import (
	"os"
	"strings"
	"testing"
)

// Part is what code says of a file: the text between two marks.
type Part struct{ Begin, End, Text string }

// Hold compares the parts of a file with their texts, or with update writes these; command is what does. It returns the file as
// it is to be.
func Hold(t testing.TB, file string, update bool, command string, parts ...Part) (want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have := string(data)
	want = have
	for _, p := range parts {
		before, rest, ok := strings.Cut(want, p.Begin)
		_, after, found := strings.Cut(rest, p.End)
		if !ok || !found {
			t.Fatalf("%s has no %q before %q", file, p.Begin, p.End)
		}
		want = before + p.Begin + p.Text + p.End + after
	}
	switch {
	case have == want:
	case update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Errorf("%s:%d is not what the code says: %s\nhave %s\nwant %s", file, i+1, command, a[i], b[i])
				return want
			}
		}
		t.Errorf("%s has %d lines, the code makes %d: %s", file, len(a), len(b), command)
	}
	return want
}
