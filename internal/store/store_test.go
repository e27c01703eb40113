package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/hub"
	"github.com/loopserve/loopserve/internal/hub/hubtest"
	"github.com/loopserve/loopserve/internal/store"
	"github.com/loopserve/loopserve/models/export"
)

// open gives a store and a hub that has org/Tiny.Ouro.
func open(t *testing.T) (*store.Store, *hubtest.Hub) {
	t.Helper()
	server := hubtest.New(t)
	if _, err := server.Put("org/Tiny.Ouro", "main", golden(t), nil); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HF_ENDPOINT": server.URL, "HF_HOME": t.TempDir()}
	h, err := hub.FromEnvironment(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return &store.Store{Dir: store.Folder(t.TempDir(), os.Getenv), Hub: h, Say: func(text string) { t.Log(text) }}, server
}

func golden(t *testing.T) string { return goldentest.Dir(t, "golden/ouro/tiny-mha") }

func bundleOf(t *testing.T, s *store.Store, checkpoint string, opt export.Options) string {
	t.Helper()
	dir, err := s.Bundle(t.Context(), checkpoint, opt)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(dir)
}

// A bundle is made once for all that it depends on, and anew when any of that changes.
func TestWhatABundleDependsOn(t *testing.T) {
	s, server := open(t)
	opt := export.Options{Exporter: "loopserve v1", Weights: "int4"}
	first := bundleOf(t, s, "hf:org/Tiny.Ouro", opt)
	if !strings.HasPrefix(first, "tiny.ouro-int4-") {
		t.Errorf("it is in %s", first)
	}
	same := opt
	same.DType, same.Head = "f32", "int8" // the defaults
	if got := bundleOf(t, s, "hf:org/Tiny.Ouro@main", same); got != first {
		t.Errorf("the same again is in %s", got)
	}
	seen := map[string]string{first: "first"}
	another := func(what, checkpoint string, opt export.Options) {
		t.Helper()
		got := bundleOf(t, s, checkpoint, opt)
		if before, ok := seen[got]; ok {
			t.Errorf("%s is in the folder of %s", what, before)
		}
		seen[got] = what
	}
	other := opt
	other.Exporter = "loopserve v2"
	another("another exporter", "hf:org/Tiny.Ouro", other)
	other = opt
	other.Embedding = "bf16"
	another("another embedding", "hf:org/Tiny.Ouro", other)
	if _, err := server.Put("org/Tiny.Ouro", "main", golden(t), map[string][]byte{"README.md": []byte("new")}); err != nil {
		t.Fatal(err)
	}
	another("another commit", "hf:org/Tiny.Ouro", opt)
	local := filepath.Join(t.TempDir(), "Tiny.Ouro [v2]") // no pattern
	if err := os.CopyFS(local, os.DirFS(golden(t))); err != nil {
		t.Fatal(err)
	}
	another("a folder", local, opt)
	if err := os.WriteFile(filepath.Join(local, "README.md"), []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	another("a changed folder", local, opt)

	list, err := s.List()
	if err != nil || len(list) != len(seen) {
		t.Fatalf("%d bundles, want %d: %v", len(list), len(seen), err)
	}
	for _, e := range list {
		if seen[e.Folder] == "first" && (e.Checkpoint != "hf:org/Tiny.Ouro" || len(e.Commit) != 40 || e.Manifest.Name != "tiny.ouro" || e.Bytes == 0) {
			t.Errorf("%+v", e)
		}
	}
}

// Many that want the same bundle at one time make it once.
func TestTogether(t *testing.T) {
	s, server := open(t)
	var all sync.WaitGroup
	dirs := make([]string, 3)
	for i := range dirs {
		all.Go(func() {
			var err error
			if dirs[i], err = s.Bundle(t.Context(), "hf:org/Tiny.Ouro", export.Options{Exporter: "test"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if dirs[0] != dirs[1] || dirs[0] != dirs[2] {
		t.Error(dirs)
	}
	var weights int
	for _, r := range server.Requests() {
		if strings.HasPrefix(r, "cdn GET") {
			weights++
		}
	}
	if weights != 1 {
		t.Errorf("the weights were fetched %d times", weights)
	}
}

func TestRemove(t *testing.T) {
	s, _ := open(t)
	int4, f32 := export.Options{Exporter: "test", Weights: "int4"}, export.Options{Exporter: "test"}
	made := func() []string {
		return []string{bundleOf(t, s, "hf:org/Tiny.Ouro", int4), bundleOf(t, s, "hf:org/Tiny.Ouro", f32)}
	}
	folders := made()
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"hf:org/Tiny.Ouro": 2, "org/Tiny.Ouro": 2, "tiny.ouro": 2, "hf:org/Tiny.Ouro@" + list[0].Commit[:7]: 2, folders[0]: 1,
	} {
		made()
		removed, err := s.Remove(t.Context(), false, name)
		if left, _ := s.List(); err != nil || len(removed) != want || len(left) != 2-want {
			t.Errorf("%s: %d removed, %d left, %v", name, len(removed), len(left), err)
		}
	}
	for _, name := range []string{"hf:org/other", "hf:org/Tiny.Ouro@0000", "..", "tiny"} {
		made()
		if removed, err := s.Remove(t.Context(), false, "tiny.ouro", name); err == nil || len(removed) > 0 || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, %v", name, removed, err)
		}
	}
	// What is no bundle any more is made again, and can be removed.
	if err := os.Remove(filepath.Join(s.Dir, folders[0], "manifest.json")); err != nil {
		t.Fatal(err)
	}
	made()
	if err := errors.Join(os.Remove(filepath.Join(s.Dir, folders[0], "manifest.json"))); err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(s.Dir, "."+folders[0]+".partial-1") // what a killed export has left
	if err := os.Mkdir(killed, 0o755); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.Remove(t.Context(), true); err != nil || len(removed) != 2 {
		t.Errorf("%d removed, %v", len(removed), err)
	}
	if _, err := os.Stat(killed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", killed, err)
	}
}

func TestIsCheckpoint(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"bundle/config.json", "bundle/manifest.json", "bundles/x/manifest.json", "checkpoint/config.json", "models--a--b/snapshots/0/config.json", "a.gguf"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{
		"hf:org/name": true, "hf:": true, dir + "/checkpoint": true, dir + "/models--a--b": true, dir + "/models--a--b/snapshots/0": true, dir + "/a.gguf": true,
		dir + "/bundle": false, dir + "/bundles": false, dir + "/nothing": false, dir + "/nothing.gguf": false, "adder": false, "": false,
	} {
		if got := store.IsCheckpoint(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
