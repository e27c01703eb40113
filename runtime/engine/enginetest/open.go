// Package enginetest opens what tests of engines run on, and closes it after them: what does not close fails the test.
package enginetest

import (
	"io"
	"testing"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Env opens ONNX Runtime with so many threads. A test that needs the library fails without it.
func Env(t testing.TB, threads int) *ort.Env {
	t.Helper()
	env, err := ort.Open(ort.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, env)
	return env
}

// Open opens the bundle of a folder, of either kind.
func Open(t testing.TB, env *ort.Env, dir string, opt engine.Options) engine.Engine {
	t.Helper()
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(env, b, opt)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, e)
	return e
}

func closeAfter(t testing.TB, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
