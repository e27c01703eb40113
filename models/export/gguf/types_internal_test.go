package gguf

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/float16"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
)

// Every type is widened bit for bit as gguf 0.19.0's quants.dequantize does it (and, as the vectors' file says, ggml's C): blocks
// of random bytes, with negative and with subnormal scales.
func TestGoldenTypes(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(goldentest.Dir(t, "golden/smollm2"), "tiny_types.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Types map[string]map[string]json.RawMessage `json:"types"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		cases := file.Types[k.name]
		if len(cases) == 0 && k.name != "F32" {
			t.Errorf("%s: no vector", k.name)
		}
		for name, raw := range cases {
			var c struct {
				Hex string `json:"hex"`
				Sum string `json:"f32_sha256"`
			}
			if json.Unmarshal(raw, &c) != nil || c.Hex == "" {
				continue // a number or a note
			}
			blocks, err := hex.DecodeString(c.Hex)
			if err != nil {
				t.Fatal(err)
			}
			var out []byte
			values := make([]float32, k.values)
			for ; len(blocks) > 0; blocks = blocks[k.bytes:] {
				k.widen(values, blocks)
				for _, v := range values {
					out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
				}
				kept(t, k, values, blocks)
			}
			if sum := sha256.Sum256(out); hex.EncodeToString(sum[:]) != c.Sum {
				t.Errorf("%s, %s: other numbers than gguf's", k.name, name)
			}
		}
	}
}

// kept checks that the codes that a bundle takes over stand for the widened numbers.
func kept(t *testing.T, k *kind, values []float32, block []byte) {
	t.Helper()
	if k.kept == nil {
		return
	}
	codes := make([]uint8, k.values)
	scale, minimum := k.kept(codes, block[:k.bytes])
	zero := 0
	if k.bits == 8 {
		zero = 128
	}
	for i, v := range values {
		exact := float64(float16.Widen(scale))*float64(int(codes[i])-zero) + float64(float16.Widen(minimum))
		if float32(exact) != v {
			t.Fatalf("%s: code %d stands for %v, want %v", k.name, i, exact, v)
		}
	}
}
