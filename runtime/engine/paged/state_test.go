//go:build cgo

package paged

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/ort"
)

// filled is the states of a span's rows, slot after slot, as the latents' bytes.
func filled(t *testing.T, m *bundle.Manifest, spans ...loopctl.Span) []byte {
	t.Helper()
	size := 4
	if m.Precision.Activations != "f32" {
		size = 2
	}
	mem, err := ort.NewBuffer(8 * m.HiddenSize * size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mem.Close() })
	s := &slots{mem: mem, bytes: m.HiddenSize * size}
	for i := range s.mem.Bytes() {
		s.mem.Bytes()[i] = 0xee // what the slot's last owner left
	}
	st := newInitialState(m)
	st.fill(&loopctl.Batch{Spans: spans}, s)
	return slices.Clone(s.mem.Bytes())
}

func manifest(kind, activations string, hidden int) *bundle.Manifest {
	return &bundle.Manifest{
		HiddenSize: hidden, State: bundle.State{Kind: kind, Std: 0.4, Scale: 1.5},
		Precision: bundle.Precision{Activations: activations},
	}
}

func floats(raw []byte) []float32 {
	out := make([]float32, len(raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

func TestZeroState(t *testing.T) {
	raw := filled(t, manifest("zeros", "f32", 4), loopctl.Span{Rows: []int32{2, 0}})
	for slot, want := range []byte{0, 0xee, 0, 0xee} {
		for _, b := range raw[slot*16 : (slot+1)*16] {
			if b != want {
				t.Fatalf("slot %d has byte %#x, want %#x", slot, b, want)
			}
		}
	}
}

// A row's state is a function of seed and position: the same in any slot, in any company, in any part of a prompt.
func TestNormalStateDependsOnSeedAndPosition(t *testing.T) {
	const d = 16
	m := manifest("normal", "f32", d)
	rows := func(raw []byte, slot int) []float32 { return floats(raw[slot*d*4 : (slot+1)*d*4]) }
	whole := filled(t, m, loopctl.Span{Seed: 7, Rows: []int32{0, 1, 2}})
	parts := filled(t, m,
		loopctl.Span{Seed: 8, Rows: []int32{3}, Past: 2},
		loopctl.Span{Seed: 7, Rows: []int32{5}, Past: 2},
		loopctl.Span{Seed: 7, Rows: []int32{6, 4}})
	for position, slot := range []int{6, 4, 5} {
		if a, b := rows(whole, position), rows(parts, slot); !slices.Equal(a, b) {
			t.Errorf("position %d: %v whole, %v in parts", position, a, b)
		}
	}
	if slices.Equal(rows(whole, 0), rows(whole, 1)) || slices.Equal(rows(parts, 3), rows(parts, 5)) {
		t.Error("two positions or two seeds have the same state")
	}
}

// The draw is a normal cut off at three standard deviations, times the scale.
func TestNormalStateMoments(t *testing.T) {
	const d = 1 << 15
	var values []float32
	for _, v := range floats(filled(t, manifest("normal", "f32", d), loopctl.Span{Seed: 3, Rows: []int32{0, 1, 2, 3, 4, 5, 6, 7}})) {
		values = append(values, v/(0.4*1.5))
	}
	sum, squares, extreme := 0.0, 0.0, 0.0
	for _, v := range values {
		sum, squares, extreme = sum+float64(v), squares+float64(v)*float64(v), max(extreme, math.Abs(float64(v)))
	}
	n := float64(len(values))
	mean, std := sum/n, math.Sqrt(squares/n)
	const truncated = 0.98658 // of a standard normal within ±3
	if math.Abs(mean) > 4/math.Sqrt(n) || math.Abs(std-truncated) > 4/math.Sqrt(2*n) {
		t.Errorf("mean %g, standard deviation %g; want 0 and %g", mean, std, truncated)
	}
	if extreme > 3.000001 || extreme < 2.9 {
		t.Errorf("the extreme is %g standard deviations, want just under 3", extreme)
	}
}

// Latents of 16 bits get the float32 draws, rounded to nearest.
func TestNormalStateInHalves(t *testing.T) {
	const d = 512
	span := loopctl.Span{Seed: 5, Rows: []int32{0, 1}}
	exact := floats(filled(t, manifest("normal", "f32", d), span)[:2*d*4])
	for _, c := range []struct {
		name   string
		within float64 // half a unit in the last place, relative
		widen  func(uint16) float32
	}{
		{"bf16", 1.0 / 256, func(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }},
		{"f16", 1.0 / 2048, halfToFloat},
	} {
		raw := filled(t, manifest("normal", c.name, d), span)
		for i, want := range exact {
			got := c.widen(binary.LittleEndian.Uint16(raw[2*i:]))
			if math.Abs(float64(got-want)) > c.within*math.Abs(float64(want)) {
				t.Fatalf("%s: number %d is %g, want %g rounded", c.name, i, got, want)
			}
		}
	}
}

// halfToFloat widens a normal half.
func halfToFloat(h uint16) float32 {
	if h&0x7fff == 0 {
		return 0
	}
	return math.Float32frombits(uint32(h&0x8000)<<16 | (uint32(h&0x7fff)<<13 + (127-15)<<23))
}

func TestFloat16RoundsToEven(t *testing.T) {
	st := initialState{half: true}
	for _, c := range []struct {
		v    float32
		want uint16
	}{
		{0, 0},
		{1, 0x3c00},
		{-2, 0xc000},
		{65504, 0x7bff}, // the largest
		{0.333251953125, 0x3555},
		{1 + 1.0/2048, 0x3c00}, // halfway between two: to the even one
		{1 + 3.0/2048, 0x3c02},
		{1 + 1.5/2048, 0x3c01},
		{2 - 1.0/4096, 0x4000}, // the carry goes into the exponent
		{65520, 0x7c00},        // halfway beyond the largest: infinite
		{1e9, 0x7c00},
		{-1e9, 0xfc00},
		{6.103515625e-5, 0x0400}, // the smallest normal
		{1e-9, 0},
	} {
		row := make([]byte, 2)
		st.put(row, 0, c.v)
		if got := binary.LittleEndian.Uint16(row); got != c.want {
			t.Errorf("float16 of %v is %#04x, want %#04x", c.v, got, c.want)
		}
	}
}

func TestBFloat16RoundsToEven(t *testing.T) {
	st := initialState{half: true, bf16: true}
	for _, c := range []struct {
		bits uint32
		want uint16
	}{
		{0x3f800000, 0x3f80},
		{0x3f808000, 0x3f80}, // halfway: the even one
		{0x3f818000, 0x3f82},
		{0x3f808001, 0x3f81},
		{0xbfffffff, 0xc000}, // the carry goes into the exponent
	} {
		row := make([]byte, 2)
		st.put(row, 0, math.Float32frombits(c.bits))
		if got := binary.LittleEndian.Uint16(row); got != c.want {
			t.Errorf("bfloat16 of %#08x is %#04x, want %#04x", c.bits, got, c.want)
		}
	}
}
