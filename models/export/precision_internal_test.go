package export

import (
	"io"
	"math"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/models/export/onnx"
)

func TestWeightsThatDoNotFit(t *testing.T) {
	write := func(to onnx.Type, v float32) error {
		return writeAs(io.Discard, to, []float32{1, v})
	}
	if err := write(onnx.Float16, 70000); err == nil || !strings.Contains(err.Error(), "70000") || !strings.Contains(err.Error(), "--dtype bf16") {
		t.Errorf("70000 in float16: %v", err)
	}
	if err := write(onnx.BFloat16, 70000); err != nil {
		t.Errorf("70000 in bfloat16: %v", err)
	}
	for _, to := range []onnx.Type{onnx.Float, onnx.Float16, onnx.BFloat16} {
		if err := write(to, float32(math.Inf(-1))); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("−∞ as type %d: %v", to, err)
		}
	}
}
