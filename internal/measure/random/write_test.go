package random

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	s := LoopedLlama{Hidden: 16, Heads: 2, FFN: 24, Vocab: 32, Loop: 2}
	read := func(seed uint64) []byte {
		dir := t.TempDir()
		if err := s.Write(dir, seed); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if a := read(1); !bytes.Equal(a, read(1)) || bytes.Equal(a, read(2)) {
		t.Error("a checkpoint must depend on its seed, and on nothing else")
	}
}
