//go:build cgo

package engine_test

import (
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/models/export"
)

// openCase opens the case in a folder and closes it after the test.
func openCase(t *testing.T, path string) *golden.Case {
	t.Helper()
	c, err := golden.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// exported is the bundle of a case's checkpoint.
func exported(t *testing.T, c *golden.Case) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "case")
	if _, err := export.Export(t.Context(), c.Dir, dir, export.Options{Exporter: "test"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// eachCase calls run for every case that this version exports, with a name and the bundle.
func eachCase(t *testing.T, run func(name string, c *golden.Case, dir string)) {
	t.Helper()
	for _, path := range goldentest.Cases(t) {
		c := openCase(t, path)
		run(c.Family+"/"+filepath.Base(path), c, exported(t, c))
	}
}
