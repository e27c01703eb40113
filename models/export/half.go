package export

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/loopserve/loopserve/models/export/onnx"
)

// float16 rounds v to the nearest IEEE half, ties to even, subnormals included. What is beyond the largest, 65504, and
// its half step is infinite.
func float16(v float32) uint16 {
	bits := math.Float32bits(v)
	sign, size := uint16(bits>>16)&0x8000, bits&0x7fffffff
	switch {
	case size > 0x7f800000:
		return sign | 0x7e00 // NaN
	case size >= 0x477ff000: // 65520: rounds to 2¹⁶, which there is no half for
		return sign | 0x7c00
	case size < 0x38800000: // under 2⁻¹⁴: steps of 2⁻²⁴
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(size))*(1<<24)))
	}
	size += 0xfff + size>>13&1 // a carry into the exponent is right
	return sign | uint16((size-0x38000000)>>13)
}

// bfloat16 rounds v to the nearest bfloat16, ties to even.
func bfloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// writeAs writes values rounded to a float type. One that the type has no room for is an error: it would be infinite.
func writeAs(w *bufio.Writer, t onnx.Type, values []float32) (int64, error) {
	round, infinite, name := float16, uint16(0x7c00), "float16, whose largest is 65504: export with --dtype bf16"
	switch t {
	case onnx.Float16:
	case onnx.BFloat16:
		round, infinite, name = bfloat16, 0x7f80, "bfloat16"
	default:
		return writeFloats(w, values)
	}
	var b [2]byte
	for _, v := range values {
		h := round(v)
		if h&infinite == infinite {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return 0, fmt.Errorf("a weight is %v: the checkpoint is damaged", v)
			}
			return 0, fmt.Errorf("a weight is %v, which does not fit %s", v, name)
		}
		binary.LittleEndian.PutUint16(b[:], h)
		if _, err := w.Write(b[:]); err != nil {
			return 0, err
		}
	}
	return int64(2 * len(values)), nil
}
