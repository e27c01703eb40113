package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// file puts a file of this header and data together.
func file(header string, data []byte) []byte {
	raw := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(raw, header...), data...)
}

// folder writes files into a new folder and opens it as a checkpoint.
func folder(t *testing.T, files map[string][]byte) (*Checkpoint, error) {
	t.Helper()
	dir := t.TempDir()
	for name, raw := range files {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	c, err := Open(root)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func TestTypesWiden(t *testing.T) {
	const header = `{"__metadata__":{"format":"pt"},
		"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
		"b":{"dtype":"BF16","shape":[1,2],"data_offsets":[8,12]},
		"c":{"dtype":"F16","shape":[2,1],"data_offsets":[12,16]},
		"d":{"dtype":"I64","shape":[],"data_offsets":[16,24]}}`
	data := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5))
	data = binary.LittleEndian.AppendUint32(data, math.Float32bits(-2))
	for _, half := range []uint16{0x3fc0, 0xc000, 0x3e00, 0xc000} { // 1.5 and −2, in bfloat16 then float16
		data = binary.LittleEndian.AppendUint16(data, half)
	}
	data = binary.LittleEndian.AppendUint64(data, 7)
	c, err := folder(t, map[string][]byte{single: file(header, data)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		got, err := c.Tensor(name).Floats()
		if err != nil || len(got) != 2 || got[0] != 1.5 || got[1] != -2 {
			t.Errorf("tensor %s is %v (%v), want 1.5 and -2", name, got, err)
		}
	}
	if got, err := c.Tensor("d").Ints(); err != nil || len(got) != 1 || got[0] != 7 {
		t.Errorf("tensor d is %v (%v), want 7", got, err)
	}
	if _, err := c.Tensor("d").Floats(); err == nil {
		t.Error("an I64 tensor was read as floats")
	}
	if err := c.Tensor("a").Read(make([]float32, 2), 1); err == nil {
		t.Error("read past the end of a tensor")
	}
	if c.Tensor("e") != nil {
		t.Error("a tensor that is not there")
	}
}

func TestBadHeaders(t *testing.T) {
	const four = "0123"
	for _, c := range []struct {
		name, header, want string
	}{
		{"not an object", `[]`, "not a JSON object"},
		{"cut", `{"a":{"dtype":"F32"`, `"a"`},
		{"name twice", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, `"a" appears twice`},
		{"negative offset", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, `"a"`},
		{"backwards", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, `"a"`},
		{"past the end", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "data end at 4"},
		{"size and shape differ", `{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,4]}}`, "takes 2 bytes"},
		{"negative dimension", `{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, "shape [-1]"},
		{"shape overflows", `{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}`, "shape"},
		{"overlap", `{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}}`, "overlap"},
		{"shape is a text", `{"a":{"dtype":"F32","shape":"1","data_offsets":[0,4]}}`, `"a"`},
	} {
		_, err := folder(t, map[string][]byte{single: file(c.header, []byte(four))})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), single) {
			t.Errorf("%s: error %v, want one with %q and the file's name", c.name, err, c.want)
		}
	}
	for name, raw := range map[string][]byte{
		"empty":               nil,
		"header past the end": file("{}", nil)[:9],
		"header of 2⁶³ bytes": binary.LittleEndian.AppendUint64(nil, 1<<63),
	} {
		if _, err := folder(t, map[string][]byte{single: raw}); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestShards(t *testing.T) {
	one := file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4))
	two := file(`{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4))
	for _, c := range []struct {
		name string
		at   map[string]string
		want string // "" is fine
	}{
		{"as it should be", map[string]string{"a": "1.safetensors", "b": "2.safetensors"}, ""},
		{"a tensor that is not there", map[string]string{"a": "1.safetensors", "b": "2.safetensors", "c": "2.safetensors"}, `"c"`},
		{"the wrong shard", map[string]string{"a": "2.safetensors", "b": "2.safetensors"}, `"`},
		{"a shard that is not there", map[string]string{"a": "1.safetensors", "b": "3.safetensors"}, "3.safetensors"},
		{"a tensor that the index leaves out", map[string]string{"a": "1.safetensors"}, ""},
		{"outside", map[string]string{"a": "../1.safetensors"}, "not a file of the folder"},
		{"absolute", map[string]string{"a": "/etc/passwd"}, "not a file of the folder"},
		{"empty", map[string]string{}, "weight_map is missing"},
	} {
		index, err := json.Marshal(map[string]any{"weight_map": c.at})
		if err != nil {
			t.Fatal(err)
		}
		_, err = folder(t, map[string][]byte{"1.safetensors": one, "2.safetensors": two, "model.safetensors.index.json": index})
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// Hugging Face's cache keeps files under their hash and links to them: links that stay inside are followed.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	raw := file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4))
	if err := os.WriteFile(filepath.Join(dir, "blob"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("blob", filepath.Join(dir, single)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	c, err := Open(root)
	if err != nil {
		t.Fatalf("a link inside the folder: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{"x":"y"}}`, make([]byte, 4)))
	f.Add(file(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[2,4]}}`, make([]byte, 4)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, start, err := readHeader(strings.NewReader(string(raw)), int64(len(raw)))
		if err != nil {
			return
		}
		for name, e := range entries {
			if from, to := start+e.Offsets[0], start+e.Offsets[1]; from < start || to < from || to > int64(len(raw)) {
				t.Errorf("tensor %q was accepted at %d to %d of %d bytes", name, from, to, len(raw))
			}
		}
	})
}
