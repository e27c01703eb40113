package export

import (
	"bufio"
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/models/export/onnx"
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
		if got := float16(c.v); got != c.f16 {
			t.Errorf("float16(%v) is %#04x, want %#04x", c.v, got, c.f16)
		}
		if got := bfloat16(c.v); got != c.bf {
			t.Errorf("bfloat16(%v) is %#04x, want %#04x", c.v, got, c.bf)
		}
	}
	nan := float32(math.NaN())
	if h := float16(nan); h&0x7c00 != 0x7c00 || h&0x3ff == 0 {
		t.Errorf("float16(NaN) is %#04x", h)
	}
	if h := bfloat16(nan); h&0x7f80 != 0x7f80 || h&0x7f == 0 {
		t.Errorf("bfloat16(NaN) is %#04x", h)
	}
}

// Every half is the float32 that it widens to, rounded: all 65,536 of them come back.
func TestHalvesComeBack(t *testing.T) {
	for h := range uint32(1 << 16) {
		wide := math.Float32frombits(h << 16)
		if got := bfloat16(wide); wide == wide && got != uint16(h) {
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
		if got := float16(float32(v)); got != uint16(h) {
			t.Fatalf("float16 %#04x, %v, comes back as %#04x", h, v, got)
		}
	}
}

func TestWeightsThatDoNotFit(t *testing.T) {
	write := func(to onnx.Type, v float32) error {
		_, err := writeAs(bufio.NewWriter(&bytes.Buffer{}), to, []float32{1, v})
		return err
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
