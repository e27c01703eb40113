package kvcache_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/runtime/kvcache"
)

const block = "../../models/adder/block.onnx"

// Retyping to what the graph is declared as changes nothing; a precision changes the two inputs and no more.
func TestRetype(t *testing.T) {
	model, err := os.ReadFile(block)
	if err != nil {
		t.Fatal(err)
	}
	same, err := kvcache.Retype(model, kvcache.F32)
	if err != nil || !bytes.Equal(same, model) {
		t.Errorf("to float32: %v, %d bytes of %d", err, len(same), len(model))
	}
	for _, p := range []kvcache.Precision{kvcache.F16, kvcache.Int8} {
		other, err := kvcache.Retype(model, p)
		if err != nil || len(other) != len(model) || bytes.Equal(other, model) {
			t.Fatalf("%s: %v, %d bytes of %d", p, err, len(other), len(model))
		}
		differ := 0
		for i := range other {
			if other[i] != model[i] {
				differ++
			}
		}
		if want := map[kvcache.Precision]int{kvcache.F16: 2, kvcache.Int8: 4}[p]; differ != want { // types; and a dimension each
			t.Errorf("%s: %d bytes differ, want %d", p, differ, want)
		}
	}
	prelude, err := os.ReadFile("../../models/adder/coda.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kvcache.Retype(prelude, kvcache.Int8); err == nil || !strings.Contains(err.Error(), "key_cache") {
		t.Errorf("a graph without caches: %v", err)
	}
}

func TestPrecisionWords(t *testing.T) {
	for _, word := range []string{"f32", "f16", "int8"} {
		if p, err := kvcache.ParsePrecision(word); err != nil || p.String() != word {
			t.Errorf("%s: %v, %v", word, p, err)
		}
	}
	for _, word := range []string{"", "bf16", "int4", "F32", "fp16"} {
		if _, err := kvcache.ParsePrecision(word); err == nil || !strings.Contains(err.Error(), "f32, f16 or int8") {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// Damaged bytes give an error or another model, never a panic.
func FuzzRetype(f *testing.F) {
	model, err := os.ReadFile(block)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(model)
	f.Add(model[:len(model)/2])
	f.Add([]byte{0x3a, 0x02, 0x5a, 0x00})
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = kvcache.Retype(data, kvcache.Int8)
	})
}
