//go:build cgo

package export_test

import (
	"math"
	"testing"

	"github.com/loopserve/loopserve/models/export"
)

// spread is the largest difference of two sets of logits, and the standard deviation of the second.
func spread(got, want [][]float32) (worst, std float64) {
	n, sum, squares := 0.0, 0.0, 0.0
	for i := range want {
		for j, w := range want[i] {
			worst = max(worst, math.Abs(float64(got[i][j]-w)))
			n, sum, squares = n+1, sum+float64(w), squares+float64(w)*float64(w)
		}
	}
	return worst, math.Sqrt(squares/n - sum/n*sum/n)
}

// The nodes of f16 and bf16 bundles, run on the CPU with its own attention in place of CUDA's, give the f32 bundle's
// logits within what their bits allow. A wrong node, gain, cast or RoPE table is off by the logits' own size.
func TestHalfGraphsAgreeWithFloat32(t *testing.T) {
	env := openEnv(t)
	for name, c := range everyFamily() {
		t.Run(name, func(t *testing.T) {
			from := written(t, c, "BF16")
			prompt := somePrompt(23, 80)
			want := newOne(engineOf(t, env, from, export.Options{}), 3).feed(t, prompt)
			for _, d := range []struct {
				dtype string
				most  float64 // of the logits' standard deviation
			}{{export.F16, 0.02}, {export.BF16, 0.15}} {
				e := engineOf(t, env, from, export.Emulated(export.Options{DType: d.dtype}))
				seq := newOne(e, 3)
				got := append(seq.feed(t, prompt[:9]), seq.feed(t, prompt[9:])...)
				worst, std := spread(got, want)
				t.Logf("%s: max difference %.4f, of a standard deviation %.3f", d.dtype, worst, std)
				if !(worst <= d.most*std) {
					t.Errorf("%s: max difference %.4f, more than %.2f of a standard deviation %.3f", d.dtype, worst, d.most, std)
				}
			}
		})
	}
}
