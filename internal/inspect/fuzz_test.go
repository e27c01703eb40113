package inspect

import (
	"os"
	"testing"
)

// Whatever the bytes, counting ends, and no count of an ordinary graph is negative.
func FuzzReadGraph(f *testing.F) {
	for _, file := range []string{"prelude.onnx", "block.onnx", "coda.onnx"} {
		raw, err := os.ReadFile("../../runtime/engine/dense/testdata/tiny/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		g, err := readGraph(raw)
		if err != nil {
			return
		}
		for name, tensor := range g.initializers {
			if tensor.elements < 0 {
				t.Errorf("%q has %d elements", name, tensor.elements)
			}
		}
		g.counts()
	})
}
