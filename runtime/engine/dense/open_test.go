//go:build cgo

package dense_test

import (
	"testing"

	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
)

// tiny is docs/examples/dense/export_block.py's bundle of hidden 16, exported by torch.onnx, with PyTorch's own answers.
const tiny = "testdata/tiny"

func openEngine(t testing.TB, dir string, opt engine.Options) engine.Engine {
	t.Helper()
	return enginetest.Open(t, enginetest.Env(t, 1), dir, opt)
}
