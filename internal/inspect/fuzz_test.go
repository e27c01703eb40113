package inspect

import (
	"os"
	"testing"

	"github.com/loopserve/loopserve/models/bundle"
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
		g, err := bundle.ReadONNX(raw)
		if err != nil {
			return
		}
		for name, tensor := range g.Initializers {
			if tensor.Elements < 0 {
				t.Errorf("%q has %d elements", name, tensor.Elements)
			}
		}
		graph{g}.counts()
	})
}
