// Package float16 converts between float32 and the two 16-bit floats as their bits: IEEE's binary16, and bfloat16, which is
// the upper half of a float32. It computes in neither.
package float16

import "math"

// Of rounds v to the nearest IEEE half, ties to even, subnormals included. What is beyond the largest, 65504, and
// its half step is infinite.
func Of(v float32) uint16 {
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

// Brain rounds v to the nearest bfloat16, ties to even.
func Brain(v float32) uint16 {
	bits := math.Float32bits(v)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// Widen is the float32 of an IEEE half, exactly.
func Widen(h uint16) float32 {
	sign, exponent, mantissa := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero or subnormal: mantissa · 2⁻²⁴
		v := float32(mantissa) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | mantissa<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | mantissa<<13)
}
