package float16

import (
	"math"
	"testing"
)

// Known values: IEEE 754-2008's binary16 and the upper half of binary32, ties to even.
func TestHalvesOfKnownValues(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		v       float32
		f16, bf uint16
	}{
		{0, 0, 0},
		{float32(math.Copysign(0, -1)), 0x8000, 0x8000},
		{1, 0x3c00, 0x3f80},
		{-2, 0xc000, 0xc000},
		{1.0 / 3, 0x3555, 0x3eab},
		{65504, 0x7bff, 0x4780},
		{65519.996, 0x7bff, 0x4780}, // under the half step: the largest
		{65520, 0x7c00, 0x4780},     // at it: infinite
		{6.1035156e-05, 0x0400, 0x3880},
		{6.097555e-05, 0x03ff, 0x3880},  // the largest subnormal
		{5.9604645e-08, 0x0001, 0x3380}, // the smallest
		{2.9802322e-08, 0x0000, 0x3300}, // half of it: even is 0
		{8.940697e-08, 0x0002, 0x33c0},  // one and a half: even is 2
		{1 + 1.0/2048, 0x3c00, 0x3f80},  // a tie, down to even
		{1 + 3.0/2048, 0x3c02, 0x3f80},  // a tie, up to even
		{1 + 1.0/256, 0x3c04, 0x3f80},   // a tie in bfloat16, down
		{1 + 3.0/256, 0x3c0c, 0x3f82},   // and up
		{1.9999999, 0x4000, 0x4000},     // carries into the exponent
		{3.4028235e38, 0x7c00, 0x7f80},  // float32's largest is beyond both
		{-3.3895314e38, 0xfc00, 0xff7f}, // bfloat16's largest
		{inf, 0x7c00, 0x7f80},
	} {
		if got := Of(c.v); got != c.f16 {
			t.Errorf("float16(%v) is %#04x, want %#04x", c.v, got, c.f16)
		}
		if got := Brain(c.v); got != c.bf {
			t.Errorf("bfloat16(%v) is %#04x, want %#04x", c.v, got, c.bf)
		}
	}
	nan := float32(math.NaN())
	if h := Of(nan); h&0x7c00 != 0x7c00 || h&0x3ff == 0 {
		t.Errorf("float16(NaN) is %#04x", h)
	}
	if h := Brain(nan); h&0x7f80 != 0x7f80 || h&0x7f == 0 {
		t.Errorf("bfloat16(NaN) is %#04x", h)
	}
}

// Every half is the float32 that it widens to, rounded: all 65,536 of them come back.
func TestHalvesComeBack(t *testing.T) {
	for h := range uint32(1 << 16) {
		wide := math.Float32frombits(h << 16)
		if got := Brain(wide); wide == wide && got != uint16(h) {
			t.Fatalf("bfloat16 %#04x comes back as %#04x", h, got)
		}
		mantissa, exponent := h&0x3ff, h>>10&31
		if exponent == 31 {
			continue
		}
		v := math.Ldexp(float64(mantissa), -24)
		if exponent > 0 {
			v = math.Ldexp(float64(mantissa|0x400), int(exponent)-25)
		}
		if h>>15 == 1 {
			v = math.Copysign(v, -1)
		}
		if got := Of(float32(v)); got != uint16(h) {
			t.Fatalf("float16 %#04x, %v, comes back as %#04x", h, v, got)
		}
	}
}

// Every float16 there is, against the definition: (−1)^s · 2^(e−15) · (1 + m/1024), subnormals without the 1.
func TestEveryHalf(t *testing.T) {
	for h := range 1 << 16 {
		exponent, mantissa := h>>10&31, float64(h&1023)
		want := math.Ldexp(1+mantissa/1024, exponent-15)
		switch {
		case exponent == 0:
			want = math.Ldexp(mantissa/1024, -14)
		case exponent == 31 && mantissa == 0:
			want = math.Inf(1)
		case exponent == 31:
			want = math.NaN()
		}
		if h>>15 == 1 {
			want = -want
		}
		got := float64(Widen(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != (h>>15 == 1) {
			t.Fatalf("float16 %#04x is %v, want %v", h, got, want)
		}
	}
}
