package export

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"testing"
)

// dequantize is GatherBlockQuantized's rule, written from its documentation: (code − 2^(bits−1)) · scale.
func dequantize(raw []byte, scales []float32, bits, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		code := int(0)
		if bits == 8 {
			code = int(raw[i])
		} else {
			code = int(raw[i/2]>>(4*(i%2))) & 15
		}
		out[i] = float32(code-1<<(bits-1)) * scales[i/blockSize]
	}
	return out
}

func quantized(t *testing.T, bits int, row []float32) (raw []byte, scales []float32) {
	t.Helper()
	var buf bytes.Buffer
	if err := (quantizer{bits: bits}).row(&buf, row, &scales); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), scales
}

func TestQuantizedRowsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 31, 32, 33, 96, 100} {
		row := make([]float32, n)
		for i := range row {
			row[i] = float32(r.NormFloat64())
		}
		for _, bits := range []int{8, 4} {
			if n*bits%8 != 0 {
				continue
			}
			raw, scales := quantized(t, bits, row)
			blocks := (n + blockSize - 1) / blockSize
			if len(scales) != blocks || len(raw) != n*bits/8 {
				t.Fatalf("%d weights in %d bits: %d scales, %d bytes", n, bits, len(scales), len(raw))
			}
			for i, v := range dequantize(raw, scales, bits, n) {
				extreme := float32(0)
				for _, x := range row[i/blockSize*blockSize : min(n, (i/blockSize+1)*blockSize)] {
					extreme = max(extreme, abs(x))
				}
				// Half a step, and for 4 bits what clipping to a smaller scale may cost.
				most := extreme / 127 / 2
				if bits == 4 {
					most = extreme * 0.3
				}
				if abs(v-row[i]) > most*1.0001 {
					t.Errorf("%d bits: weight %d is %v, was %v: off by more than %v", bits, i, v, row[i], most)
				}
			}
		}
	}
}

func TestZerosStayZeros(t *testing.T) {
	for _, bits := range []int{8, 4} {
		raw, scales := quantized(t, bits, make([]float32, 40))
		for i, v := range dequantize(raw, scales, bits, 40) {
			if v != 0 || math.IsNaN(float64(v)) {
				t.Errorf("%d bits: weight %d is %v", bits, i, v)
			}
		}
	}
}

// Searching the scale must pay: the squared error is well under that of the plain scale, extreme/7.
func TestInt4SearchBeatsPlainRounding(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	row := make([]float32, 4096)
	for i := range row {
		row[i] = float32(r.NormFloat64())
	}
	raw, scales := quantized(t, 4, row)
	searched, plain := 0.0, 0.0
	for i, v := range dequantize(raw, scales, 4, len(row)) {
		block, extreme := row[i/blockSize*blockSize:(i/blockSize+1)*blockSize], float32(0)
		for _, x := range block {
			extreme = max(extreme, abs(x))
		}
		step := float64(extreme) / 7
		searched += math.Pow(float64(v-row[i]), 2)
		plain += math.Pow(math.Round(float64(row[i])/step)*step-float64(row[i]), 2)
	}
	t.Logf("mean squared error %.5f, plain rounding %.5f", searched/4096, plain/4096)
	if searched > 0.85*plain {
		t.Errorf("squared error %.4f of plain rounding's", searched/plain)
	}
}

func BenchmarkQuantize(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	row := make([]float32, 2048)
	for i := range row {
		row[i] = float32(r.NormFloat64())
	}
	for name, bits := range map[string]int{"int8": 8, "int4": 4} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(row)))
			w := bufio.NewWriter(io.Discard)
			var scales []float32
			for b.Loop() {
				scales = scales[:0]
				if err := (quantizer{bits: bits}).row(w, row, &scales); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
