package goldentest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Environment variables that say where the vectors are and whether a test may
// go without them.
const (
	EnvVectors = "LOOPSERVE_VECTORS"
	EnvRequire = "LOOPSERVE_REQUIRE_VECTORS"
)

// Dir returns the folder sub of the vectors ("tokenizers", "golden/ouro", or
// "" for the root). It is absent only from a copy without internal/golden/testdata:
// then the test is skipped. It fails where LOOPSERVE_VECTORS names another
// folder, or where LOOPSERVE_REQUIRE_VECTORS=1.
func Dir(t testing.TB, sub string) string {
	t.Helper()
	named := os.Getenv(EnvVectors)
	root, err := root(named)
	if err != nil {
		t.Fatalf("find the vectors: %v; set %s to their folder", err, EnvVectors)
	}
	dir := filepath.Join(root, filepath.FromSlash(sub))
	info, err := os.Stat(dir)
	if err == nil && info.IsDir() {
		return dir
	}
	if named != "" || os.Getenv(EnvRequire) == "1" {
		t.Fatalf("no vectors in %s; set %s to their folder", dir, EnvVectors)
	}
	t.Skipf("no vectors in %s; set %s to their folder to run this test", dir, EnvVectors)
	return ""
}

// root is the folder of all vectors: the one that is named, or this module's own.
func root(named string) (string, error) {
	if named != "" {
		return filepath.Abs(named)
	}
	dir, err := os.Getwd() // a test runs in its package's folder
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "internal", "golden", "testdata"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", os.ErrNotExist
		}
		dir = parent
	}
}

// NoExporterYet are the folders of families whose vectors wait for an exporter.
// A test of models/export proves the list: what is in it is refused, and all
// else is exported. (smollm2 has figures of a model, and no checkpoint.)
var NoExporterYet []string

// Cases lists the folders of all cases that this version exports, sorted.
func Cases(t testing.TB) []string {
	t.Helper()
	dir := Dir(t, "golden")
	all, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	cases := slices.DeleteFunc(all, func(path string) bool {
		return slices.Contains(NoExporterYet, filepath.Base(filepath.Dir(path)))
	})
	if len(cases) == 0 {
		t.Fatalf("no cases in %s", dir)
	}
	return cases
}

// Find lists the folders under dir that hold a case, sorted.
func Find(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "golden.json" {
			out = append(out, filepath.Dir(path))
		}
		return err
	})
	slices.Sort(out)
	return out, err
}
