package bundle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// exported makes a small real bundle: one layer before the loop, one in it, one after.
func exported(t *testing.T) string {
	t.Helper()
	checkpoint, out := t.TempDir(), filepath.Join(t.TempDir(), "tiny")
	size := random.LoopedLlama{Hidden: 32, Heads: 2, FFN: 32, Vocab: 16, Context: 32, Prelude: 1, Loop: 1, Coda: 1}
	if err := size.Write(checkpoint, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := export.Export(context.Background(), checkpoint, out, export.Options{Exporter: "test"}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOpenTakesWhatExportWrites(t *testing.T) {
	dir := exported(t)
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.Path("block.onnx"), filepath.Join(dir, "block.onnx"); got != want {
		t.Errorf("Path(block.onnx) = %s, want %s", got, want)
	}
	if b.Manifest.Name != "tiny" || b.Manifest.Block.Layers != 1 {
		t.Errorf("manifest: name %q, %d block layers", b.Manifest.Name, b.Manifest.Block.Layers)
	}
}

// edit changes the manifest as JSON, so that it can say what the struct cannot.
func edit(change func(m map[string]any)) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, bundle.FileName)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		if raw, err = json.Marshal(m); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func set(key string, v any) func(t *testing.T, dir string) {
	return edit(func(m map[string]any) {
		keys := strings.Split(key, ".")
		for _, k := range keys[:len(keys)-1] {
			m = m[k].(map[string]any)
		}
		m[keys[len(keys)-1]] = v
	})
}

// file changes a file's bytes.
func file(name string, change func(raw []byte) []byte) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, change(raw), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// system does something to the folder by the standard library's calls.
func system(do func(dir string) error) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := do(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	in := filepath.Join
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
	}{
		{"no folder", system(os.RemoveAll), "no such file"},
		{"no manifest", system(func(d string) error { return os.Remove(in(d, bundle.FileName)) }), bundle.FileName},
		{"not JSON", file(bundle.FileName, func([]byte) []byte { return []byte("{") }), "not JSON"},
		{"two manifests", file(bundle.FileName, func(r []byte) []byte { return append(r, r...) }), "not JSON"},
		{"newer version", set("manifest_version", 2), "manifest_version is 2, but this version of loopserve reads 1"},
		{"no version", edit(func(m map[string]any) { delete(m, "manifest_version") }), "manifest_version is missing"},
		{"unknown field", set("loop_range", 3), `unknown field "loop_range"`},
		{"wrong type", set("hidden_size", "64"), "hidden_size"},
		{"name with a slash", set("name", "../x"), "name"},
		{"unknown kind", set("kind", "sparse"), "kind"},
		{"dense with attention", set("kind", "dense"), "attention is set"},
		{"dense for CUDA", edit(func(m map[string]any) { m["kind"], m["provider"] = "dense", "cuda"; delete(m, "attention") }), "remove the field"},
		{"no hidden size", set("hidden_size", 0), "hidden_size is 0"},
		{"huge context", set("context", 1<<30), "context"},
		{"kv heads", set("attention.heads", 3), "multiple"},
		{"negative layers", set("block.layers", -1), "block.layers"},
		{"loops from 0", set("loops.min", 0), "loops.min is 0"},
		{"default over max", set("loops.default", 99), "loops.max"},
		{"state", set("state.kind", "random"), "state.kind"},
		{"state narrower than hidden", set("state.width", 31), "state.width is 31, must be 32"},
		{"normal state without std", set("state.kind", "normal"), "state.std"},
		{"gate", set("gate", map[string]any{"kind": "softmax"}), "gate.kind"},
		{"prefix_lm with layers in the coda", set("prefix_lm", true), "coda.layers is 0"},
		{"no policy", set("kv_policies", []string{}), "kv_policies"},
		{"bad policy", set("kv_policies", []string{"modulo:0"}), "modulo:0"},
		{"precision", set("precision.weights", "int2"), "precision.weights"},
		{"precision of the head", set("precision.head", "int2"), "precision.head"},
		{"stop id", set("tokens.stop", []int{16}), "tokens.stop has 16"},
		{"pad id", set("tokens.pad", -1), "tokens.pad"},
		{"graph not listed", set("block.file", "other.onnx"), "other.onnx"},
		{"one graph twice", set("block.file", "coda.onnx"), "coda.onnx"},
		{"file outside", edit(func(m map[string]any) {
			files := m["files"].(map[string]any)
			files["../secret"] = files["weights.data"]
		}), "../secret"},
		{"changed byte", file("weights.data", func(r []byte) []byte { r[len(r)/2] ^= 1; return r }), "weights.data has sha256"},
		{"truncated", file("weights.data", func(r []byte) []byte { return r[:len(r)-1] }), "weights.data has"},
		{"missing", system(func(d string) error { return os.Remove(in(d, "weights.data")) }), "weights.data"},
		{"symbolic link", system(func(d string) error {
			if err := os.Rename(in(d, "weights.data"), in(d, "real")); err != nil {
				return err
			}
			return os.Symlink("real", in(d, "weights.data"))
		}), "not a regular file"},
		{"hard link", system(func(d string) error { return os.Link(in(d, "weights.data"), in(d, "other")) }), "hard link"},
		{"folder", system(func(d string) error {
			if err := os.Remove(in(d, "weights.data")); err != nil {
				return err
			}
			return os.Mkdir(in(d, "weights.data"), 0o755)
		}), "not a regular file"},
		{"wrong hidden size", set("hidden_size", 64), `float32 [rows, 64]`},
		{"wider state", set("state.width", 48), `float32 [rows, 48]`},
		{"wrong vocabulary", set("vocab_size", 17), `[m, 17]`},
		{"a layer too many", set("coda.layers", 2), "1 PagedAttention"},
		{"prefix_lm asked for", edit(func(m map[string]any) { m["prefix_lm"], m["coda"].(map[string]any)["layers"] = true, 0 }), "visible_seqlens is missing"},
		{"inject asked for", set("inject", true), "inject is missing"},
		{"gate asked for", set("gate", map[string]any{"kind": "hazard"}), "gate is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := exported(t)
			c.damage(t, dir)
			b, err := bundle.Open(dir, bundle.Options{})
			if err == nil {
				t.Fatalf("opened: %+v", b.Manifest)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q\ndoes not say %q", err, c.want)
			}
		})
	}
}

func TestSkipHashStillChecksSizes(t *testing.T) {
	dir := exported(t)
	file("weights.data", func(r []byte) []byte { r[0] ^= 1; return r })(t, dir)
	if _, err := bundle.Open(dir, bundle.Options{SkipHash: true}); err != nil {
		t.Errorf("with SkipHash a changed byte is not looked for: %v", err)
	}
	file("weights.data", func(r []byte) []byte { return append(r, 0) })(t, dir)
	if _, err := bundle.Open(dir, bundle.Options{SkipHash: true}); err == nil {
		t.Error("a file with one more byte was opened")
	}
}

func TestSaveGivesTheSameBytesAgain(t *testing.T) {
	dir := exported(t)
	path := filepath.Join(dir, bundle.FileName)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.Parse(before)
	if err != nil {
		t.Fatal(err)
	}
	if err := bundle.Save(dir, m); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("saved again, the manifest differs (%v)", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.partial")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Without hashes at the start a damaged file is still found where its time says that it was changed, and by Verify.
func TestHashesLater(t *testing.T) {
	dir := exported(t)
	path := filepath.Join(dir, "weights.data")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	lazy := bundle.Options{SkipHash: true, HashNewer: true}
	for _, c := range []struct {
		age   time.Duration
		found bool
	}{{-time.Hour, true}, {time.Hour, false}} {
		at := time.Now().Add(-c.age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.Open(dir, lazy); errors.Is(err, bundle.ErrFile) != c.found {
			t.Errorf("changed %v before now: %v", c.age, err)
		}
	}
	b, err := bundle.Open(dir, lazy)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(t.Context()); !errors.Is(err, bundle.ErrFile) || !strings.Contains(err.Error(), "weights.data has sha256") {
		t.Errorf("Verify: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Verify(gone); !errors.Is(err, context.Canceled) && !errors.Is(err, bundle.ErrFile) {
		t.Errorf("a check that was called off: %v", err)
	}
}
