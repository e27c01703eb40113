package bundle_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loopserve/loopserve/models/bundle"
)

// within wants f to end at once: what waits for a FIFO's writer waits for ever.
func within(t *testing.T, what string, f func() error) (err error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: it waits", what)
	}
	return err
}

// A FIFO, a device and a folder are refused wherever a file should be, and nothing waits for them.
func TestOnlyPlainFiles(t *testing.T) {
	kinds := map[string]func(path string) error{
		"FIFO":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
	}
	for kind, make := range kinds {
		dir := exported(t)
		for _, name := range []string{"weights.data", "block.onnx", bundle.FileName} { // one after another
			path := filepath.Join(dir, name)
			b, _ := bundle.Open(dir, bundle.Options{SkipHash: true})
			if err := errors.Join(os.Rename(path, path+"~"), make(path)); err != nil {
				t.Fatal(err)
			}
			says := func(what string, f func() error) {
				if err := within(t, kind+" "+name+" "+what, f); err == nil || !strings.Contains(err.Error(), "not a regular file") {
					t.Errorf("%s as %s, %s: %v", kind, name, what, err)
				}
			}
			says("open", func() error { _, err := bundle.Open(dir, bundle.Options{}); return err })
			if name == bundle.FileName {
				says("digest", func() error { _, err := bundle.Digest(dir); return err })
			} else {
				says("read", func() error { _, err := b.ReadFile(name); return err })
				says("load", func() error { return b.Load(name, into(nil)) })
				says("file", func() error { _, err := b.FS().Open(name); return err })
			}
			if err := errors.Join(os.Remove(path), os.Rename(path+"~", path)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// into has Load read a file whole.
func into(held []byte) func(f *os.File, size int) ([]byte, error) {
	return func(f *os.File, _ int) ([]byte, error) {
		_, err := io.ReadFull(f, held)
		return held, err
	}
}

// What a bundle was when it was opened does not bind it later: what is loaded is held to the manifest, and what was
// loaded stays what it was.
func TestFilesThatChange(t *testing.T) {
	write := func(path string, raw []byte) error { return os.WriteFile(path, raw, 0o644) }
	lazy := bundle.Options{SkipHash: true, HashNewer: true}
	for _, c := range []struct {
		name   string
		opt    bundle.Options
		change func(path string, raw []byte) error
		want   string // "": it is loaded
	}{
		{"nothing", lazy, func(string, []byte) error { return nil }, ""},
		{"zeros in place", lazy, func(path string, raw []byte) error { return write(path, make([]byte, len(raw))) }, "has sha256"},
		{"zeros in place, verified at the start", bundle.Options{}, func(path string, raw []byte) error { return write(path, make([]byte, len(raw))) }, "has sha256"},
		{"zeros with the old time", lazy, func(path string, raw []byte) error {
			info, err := os.Stat(path)
			return errors.Join(err, write(path, make([]byte, len(raw))), os.Chtimes(path, info.ModTime(), info.ModTime()))
		}, "has sha256"},
		{"another file", lazy, func(path string, raw []byte) error {
			return errors.Join(write(path+"~", make([]byte, len(raw))), os.Rename(path+"~", path))
		}, "has sha256"},
		{"the same in another file", lazy, func(path string, raw []byte) error {
			return errors.Join(write(path+"~", raw), os.Rename(path+"~", path))
		}, ""},
		{"another mode", lazy, func(path string, _ []byte) error { return os.Chmod(path, 0o600) }, ""},
		{"cut short", lazy, func(path string, _ []byte) error { return os.Truncate(path, 100) }, "has 100 bytes"},
		{"zeros, and hashes off", bundle.Options{SkipHash: true}, func(path string, raw []byte) error { return write(path, make([]byte, len(raw))) }, ""},
	} {
		dir := exported(t)
		path := filepath.Join(dir, "weights.data")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Open(dir, c.opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.change(path, raw); err != nil {
			t.Fatal(err)
		}
		err = b.Load("weights.data", into(make([]byte, len(raw))))
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, bundle.ErrFile) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err != nil || c.opt.SkipHash && !c.opt.HashNewer {
			continue
		}
		if err := errors.Join(b.Unchanged(), b.Verify(t.Context())); err != nil {
			t.Errorf("%s: verified: %v", c.name, err)
		}
		if err := errors.Join(os.Chmod(path, 0o640), b.Verify(t.Context())); err != nil {
			t.Errorf("%s: a mode that changes after the load: %v", c.name, err)
		}
		if err := write(path+"~", raw); err != nil { // the same content, but nobody knows what was there meanwhile
			t.Fatal(err)
		}
		if err := os.Rename(path+"~", path); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"unchanged": b.Unchanged(), "verified": b.Verify(t.Context())} {
			if err == nil || !strings.Contains(err.Error(), "written after it was loaded") {
				t.Errorf("%s: written after the load, but %s: %v", c.name, what, err)
			}
		}
	}
}

// A graph that changed is checked again before it is given to the runtime, and so is every other file that is read.
func TestGraphsThatChange(t *testing.T) {
	dir := exported(t)
	b, err := bundle.Open(dir, bundle.Options{SkipHash: true, HashNewer: true})
	if err != nil {
		t.Fatal(err)
	}
	off, err := bundle.Open(dir, bundle.Options{SkipHash: true})
	if err != nil {
		t.Fatal(err)
	}
	file("block.onnx", func(raw []byte) []byte {
		return []byte(strings.ReplaceAll(string(raw), "RelativeChange", "RandomlyChange"))
	})(t, dir)
	if _, _, err := b.Graph("block.onnx"); !errors.Is(err, bundle.ErrFile) {
		t.Errorf("another graph: %v", err)
	}
	if _, err := b.ReadFile("block.onnx"); !errors.Is(err, bundle.ErrFile) {
		t.Errorf("another graph, read: %v", err)
	}
	if _, _, err := off.Graph("block.onnx"); !errors.Is(err, bundle.ErrGraph) {
		t.Errorf("another graph, hashes off: %v", err)
	}
}
