//go:build cgo

package ort

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// rival is a graph of one MatMulNBits with random weights: blocks of 32, activations of 8 bits (accuracy_level 4); beside float
// weights it is one float32 Gemm.
func rival(rng *rand.Rand, k, n, bits int) graph {
	if bits >= 16 {
		w := weight{name: "w", rows: n, columns: k, data: make([]float32, n*k)}
		for i := range w.data {
			w.data[i] = rng.Float32() / 1000
		}
		return graph{
			inputs:  []value{{"x", Float32, []any{"rows", k}}},
			outputs: []value{{"y", Float32, []any{"rows", n}}},
			weights: []weight{w},
			nodes: []node{{
				op: "Gemm", inputs: []string{"x", "w"}, outputs: []string{"y"}, attributes: map[string]any{"transB": 1},
			}},
		}
	}
	codes := weight{name: "codes", dims: []int{n, k / 32, 4 * bits}, bytes: make([]byte, n*k/8*bits)}
	for i := range codes.bytes {
		codes.bytes[i] = byte(rng.Uint32())
	}
	scales := weight{name: "scales", rows: n, columns: k / 32, data: make([]float32, n*k/32)}
	for i := range scales.data {
		scales.data[i] = rng.Float32() / 1000
	}
	return graph{
		inputs:  []value{{"x", Float32, []any{"rows", k}}},
		outputs: []value{{"y", Float32, []any{"rows", n}}},
		weights: []weight{codes, scales},
		nodes: []node{{
			domain: "com.microsoft", op: "MatMulNBits", inputs: []string{"x", "codes", "scales"}, outputs: []string{"y"},
			attributes: map[string]any{"K": k, "N": n, "bits": bits, "block_size": 32, "accuracy_level": 4},
		}},
	}
}

// BenchmarkPackedLinear is PackedLinear beside ONNX Runtime's own MatMulNBits or Gemm, [rows, 1024] × [1024, 5632] on the session's
// pool, the two in turn so that a machine's drift is on both. GMAC/s is of each one's fastest tenth,
// which a busy machine disturbs least; ratio is of the two.
func BenchmarkPackedLinear(b *testing.B) {
	const k, n = 1024, 5632
	for _, isa := range []int{productAVX2, productAVXVNNI, productAVX512VNNI, productNEON} {
		for _, bits := range []int{4, inBytes, 8, 16, 32} {
			for _, rows := range []int{1, 2, 4, 8, 16, 128} {
				b.Run(fmt.Sprintf("isa=%d/bits=%d/rows=%d", isa, bits, rows), func(b *testing.B) {
					if !forceProductISA(isa) {
						b.Skip("not on this processor")
					}
					defer forceProductISA(-1)
					rng := rand.New(rand.NewPCG(1, 2))
					p := newProduct(rng, rows, k, n, bits, false, false)
					ours := packedLinearGraph(p, p.attributes())
					ours.inputs = ours.inputs[:1]
					ours.weights = []weight{{name: "weights", dims: []int{len(p.weights)}, bytes: p.weights}}
					x, y := buffer(b, 4*rows*k), buffer(b, 4*rows*n)
					copy(x.F32(), p.x)
					var calls [2]*Call
					for i, g := range []graph{ours, rival(rng, k, n, p.bits)} {
						_, calls[i] = g.load(b)
						calls[i].In(0, x, int64(rows), k)
						calls[i].Out(0, y, int64(rows), n)
					}
					var took [2][]time.Duration
					for b.Loop() {
						for i, c := range calls {
							start := time.Now()
							if err := c.Run(); err != nil {
								b.Fatal(err)
							}
							took[i] = append(took[i], time.Since(start))
						}
					}
					fast := func(i int) float64 {
						slices.Sort(took[i])
						return took[i][len(took[i])/10].Seconds()
					}
					b.ReportMetric(float64(rows)*k*n/fast(0)/1e9, "GMAC/s")
					b.ReportMetric(float64(rows)*k*n/fast(1)/1e9, "theirs-GMAC/s")
					b.ReportMetric(fast(1)/fast(0), "ratio")
				})
			}
		}
	}
}
