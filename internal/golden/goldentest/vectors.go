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
// "" for the root). Where it is absent the test is skipped, or fails when
// LOOPSERVE_REQUIRE_VECTORS=1.
func Dir(t testing.TB, sub string) string {
	t.Helper()
	root, err := root()
	if err != nil {
		t.Fatalf("find the vectors: %v; set %s to their folder", err, EnvVectors)
	}
	dir := filepath.Join(root, filepath.FromSlash(sub))
	info, err := os.Stat(dir)
	if err == nil && info.IsDir() {
		return dir
	}
	if os.Getenv(EnvRequire) == "1" {
		t.Fatalf("no vectors in %s and %s=1; set %s to their folder", dir, EnvRequire, EnvVectors)
	}
	t.Skipf("no vectors in %s; set %s to their folder to run this test", dir, EnvVectors)
	return ""
}

// root is the folder of all vectors; it need not exist.
func root() (string, error) {
	if dir := os.Getenv(EnvVectors); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(filepath.Dir(dir), "shared"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", os.ErrNotExist
		}
		dir = parent
	}
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
