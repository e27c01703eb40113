package torchbin

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// Where a vector has both forms of a checkpoint, both have the same tensors.
func TestTheSameAsSafetensors(t *testing.T) {
	found := false
	for _, path := range goldentest.Cases(t) {
		root, err := os.OpenRoot(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = root.Close() })
		if _, err := root.Stat(FileName); err != nil {
			continue
		}
		found = true
		got, err := Open(root)
		if err != nil {
			t.Fatal(err)
		}
		want, err := safetensors.Open(root)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = got.Close(), want.Close() })
		if !slices.Equal(got.Names(), want.Names()) {
			t.Fatalf("%s: names %v, want %v", path, got.Names(), want.Names())
		}
		for _, name := range got.Names() {
			a, b := got.Tensor(name), want.Tensor(name)
			x, errX := a.Floats()
			y, errY := b.Floats()
			if errX != nil || errY != nil || !slices.Equal(a.Shape, b.Shape) || !slices.Equal(x, y) {
				t.Errorf("%s: tensor %s differs (%v, %v)", path, name, errX, errY)
			}
		}
	}
	if !found {
		t.Errorf("no vector has a %s", FileName)
	}
}

// tensorPickle is {"w": tensor of 4 float32 in storage 0}, as torch.save writes it, with parts to change.
func tensorPickle(change ...string) string {
	text := func(s string) string { return "X" + string([]byte{byte(len(s)), 0, 0, 0}) + s }
	p := "\x80\x02}(" + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
		text("0") + text("cpu") + "K\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtRu."
	return strings.NewReplacer(change...).Replace(p)
}

func archived(t *testing.T, method uint16, pickle string, data int) *os.Root {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, content := range map[string]string{"m/data.pkl": pickle, "m/data/0": strings.Repeat("\x00", data), "m/byteorder": "little"} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func TestWhatIsRefused(t *testing.T) {
	c, err := Open(archived(t, zip.Store, tensorPickle(), 16))
	if err != nil {
		t.Fatalf("the unchanged file: %v", err)
	}
	if got, err := c.Tensor("w").Floats(); err != nil || len(got) != 4 {
		t.Errorf("w is %v (%v)", got, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for _, x := range []struct {
		name, pickle string
		method       uint16
		data         int
		want         string
	}{
		{"a call of os.system", tensorPickle("ccollections\nOrderedDict", "cos\nsystem"), zip.Store, 16, "os system"},
		{"a call of builtins", "\x80\x02cbuiltins\neval\nX\x01\x00\x00\x00a\x85R.", zip.Store, 16, "builtins eval"},
		{"an object", "\x80\x02cos\nsystem\n)\x81.", zip.Store, 16, "instruction 0x81"},
		{"an unknown instruction", "\x80\x02I1\n.", zip.Store, 16, "instruction 0x49"},
		{"another storage", tensorPickle("FloatStorage", "DoubleStorage"), zip.Store, 32, "DoubleStorage"},
		{"transposed", tensorPickle("K\x02K\x01\x86\x89", "K\x01K\x02\x86\x89"), zip.Store, 16, "strides"},
		{"too few bytes", tensorPickle(), zip.Store, 15, "outside data/0"},
		{"offset past the end", tensorPickle("QK\x00", "QK\x01"), zip.Store, 16, "outside data/0"},
		{"negative offset", tensorPickle("QK\x00", "QJ\xff\xff\xff\xff"), zip.Store, 16, "arguments"},
		{"compressed", tensorPickle(), zip.Deflate, 16, "compressed"},
		{"no such storage", tensorPickle("\x01\x00\x00\x000", "\x01\x00\x00\x009"), zip.Store, 16, "data/9"},
		{"nested", "\x80\x02}X\x01\x00\x00\x00a}s.", zip.Store, 16, `"a" is not a tensor`},
		{"truncated", tensorPickle()[:40], zip.Store, 16, "no end"},
		{"no end", "\x80\x02}", zip.Store, 16, "before its STOP"},
		{"empty stack", "\x80\x02\x85.", zip.Store, 16, "stack is empty"},
		{"no mark", "\x80\x02t.", zip.Store, 16, "no mark"},
		{"nothing remembered", "\x80\x02h\x07.", zip.Store, 16, "never set"},
	} {
		_, err := Open(archived(t, x.method, x.pickle, x.data))
		if err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), FileName) {
			t.Errorf("%s: error %v, want one with %q", x.name, err, x.want)
		}
	}
}

func FuzzUnpickle(f *testing.F) {
	f.Add([]byte(tensorPickle()))
	f.Add([]byte("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94]\x94(K\x01\x8a\x01\xff\x88NGabcdefghes."))
	f.Fuzz(func(t *testing.T, program []byte) {
		_, _ = unpickle(program) // it must end, and not panic
	})
}
