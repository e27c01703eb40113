//go:build cgo

package ort

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var kvKinds = map[string]int{"f16": kvF16, "int8": kvInt8}

// kvHead encodes a head as docs/adr/0004-kv-precision.md has it. It is written from there, not from the kernel.
func kvHead(kv int, x []float32) (raw []byte) {
	if kv == kvF16 {
		for _, v := range x {
			raw = binary.LittleEndian.AppendUint16(raw, toHalf(v))
		}
		return raw
	}
	most := 0.0
	for _, v := range x {
		most = max(most, math.Abs(float64(v)))
	}
	if most < 1e-30 {
		return make([]byte, len(x)+2)
	}
	scale := uint16((math.Float32bits(float32(most)/127) + 0xffff) >> 16)
	for _, v := range x {
		raw = append(raw, byte(int8(math.RoundToEven(float64(v)/float64(math.Float32frombits(uint32(scale)<<16))))))
	}
	return binary.LittleEndian.AppendUint16(raw, scale)
}

// toHalf finds the nearest half among all by halving the interval: slow and plain.
func toHalf(v float32) uint16 {
	sign, size := uint16(math.Float32bits(v)>>16&0x8000), math.Abs(float64(v))
	if math.IsNaN(size) {
		return sign | 0x7e00
	}
	lo, hi := uint16(0), uint16(0x7bff) // 65504
	for lo+1 < hi {
		if mid := (lo + hi) / 2; fromHalf(mid) <= size {
			lo = mid
		} else {
			hi = mid
		}
	}
	switch below, above := size-fromHalf(lo), fromHalf(hi)-size; {
	case below < above, below == above && lo%2 == 0:
		return sign | lo
	}
	return sign | hi
}

func fromHalf(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exponent, mantissa := int(h>>10&31), float64(h&0x3ff)
	switch {
	case exponent == 31 && mantissa != 0:
		return math.NaN()
	case exponent == 31:
		return sign * math.Inf(1)
	case exponent == 0:
		return sign * math.Ldexp(mantissa, -24)
	}
	return sign * math.Ldexp(1024+mantissa, exponent-25)
}

// decode is a cache's numbers, and by how much each may differ from what was written: half of its last place.
func decode(kv, headDim int, raw []byte) (x []float32, off []float64) {
	if kv == kvF16 {
		for i := 0; i < len(raw); i += 2 {
			v := fromHalf(binary.LittleEndian.Uint16(raw[i:]))
			x, off = append(x, float32(v)), append(off, max(math.Abs(v)/2048, math.Ldexp(1, -25)))
		}
		return x, off
	}
	for head := range slices.Chunk(raw, headDim+2) {
		scale := math.Float32frombits(uint32(binary.LittleEndian.Uint16(head[headDim:])) << 16)
		for _, b := range head[:headDim] {
			x, off = append(x, float32(int8(b))*scale), append(off, float64(scale)/2)
		}
	}
	return x, off
}

// quantise gives the case a cache of that kind, with what newCase put into it.
func (a *attention) quantise(kv int) {
	a.kv, a.rawKeys, a.rawValues = kv, nil, nil
	for head := range slices.Chunk(a.keys, a.headDim) {
		a.rawKeys = append(a.rawKeys, kvHead(kv, head)...)
	}
	for head := range slices.Chunk(a.values, a.headDim) {
		a.rawValues = append(a.rawValues, kvHead(kv, head)...)
	}
}

// compareKV runs the case and checks three things: the caches hold what they should but for rounding; given these caches, the output
// is as exact as with float32; and against float32 caches it stays inside the bound that the rounding allows.
func (a *attention) compareKV(t *testing.T, what string) {
	t.Helper()
	out, keys, values := a.reference() // of float32 caches
	if err := a.run(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	stored := *a
	var worstK, worstV, largest float64
	for _, c := range []struct {
		name  string
		raw   []byte
		to    *[]float32
		want  []float64
		worst *float64
	}{{"key cache", a.rawKeys, &stored.keys, keys, &worstK}, {"value cache", a.rawValues, &stored.values, values, &worstV}} {
		got, off := decode(a.kv, a.headDim, c.raw)
		*c.to = got
		for i, v := range got {
			d := math.Abs(float64(v) - c.want[i])
			if !(d <= off[i]+2e-5*(1+math.Abs(c.want[i]))) {
				t.Fatalf("%s: %s[%d] is %v, want %v within %v", what, c.name, i, v, c.want[i], off[i])
			}
			*c.worst = max(*c.worst, d)
		}
	}
	stored.written = true
	exact, _, _ := stored.reference()
	for i := range exact {
		if d := math.Abs(float64(a.out[i]) - exact[i]); !(d <= 3e-5*(1+math.Abs(exact[i]))) {
			t.Fatalf("%s: output[%d] is %v, want %v of these caches", what, i, a.out[i], exact[i])
		}
	}
	// A score is off by δ = scale·‖q‖₁·(error of a key) at most, a weight by a factor in e^±2δ, so the output by
	// (e^2δ − 1)·max|v| + (error of a value).
	for _, v := range values {
		largest = max(largest, math.Abs(v))
	}
	for head := 0; head < len(out); head += a.headDim {
		q := a.turnedQuery(head)
		sum := 0.0
		for _, v := range q {
			sum += math.Abs(v)
		}
		delta := math.Abs(float64(a.scale)) * sum * worstK
		bound := (math.Exp(2*delta)-1)*largest + worstV + 3e-5*(1+largest)
		for i := head; i < head+a.headDim; i++ {
			if d := math.Abs(float64(a.out[i]) - out[i]); !(d <= bound) {
				t.Fatalf("%s: output[%d] is %v, with float32 caches %v: off by %v, the bound is %v", what, i, a.out[i], out[i], d, bound)
			}
		}
	}
}

func TestKVKindsEqualTheirReference(t *testing.T) {
	for name, kv := range kvKinds {
		t.Run(name, func(t *testing.T) {
			eachISA(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(21, 22))
				for i := range 40 {
					s := anyShape(rng)
					a := newCase(rng, s)
					a.quantise(kv)
					a.threads = 1 + i%3
					a.compareKV(t, fmt.Sprintf("case %d %+v", i, s))
				}
				for _, spans := range [][]span{{{2999, 1}}, {{700, 33}, {3, 1}, {1047, 1}}} {
					a := newCase(rng, shape{qHeads: 4, kvHeads: 2, headDim: 64, pageSize: 16, layers: 2, layer: 1, rotary: 64, spans: spans})
					a.quantise(kv)
					a.threads = 2
					a.compareKV(t, fmt.Sprint(spans))
				}
			})
		})
	}
}

// What is written, bit for bit: a row's values are stored as they come. One head of each kind of number.
func TestKVRounding(t *testing.T) {
	inf := float32(math.Inf(1))
	rng := rand.New(rand.NewPCG(23, 24))
	var heads [][]float32
	for _, size := range []float64{1e-9, 1e-7, 1e-5, 1e-3, 1, 1e3, 6e4} {
		head := make([]float32, 37) // a vector of every set of instructions, and a rest
		for i := range head {
			head[i] = float32(size * rng.NormFloat64())
		}
		heads = append(heads, head)
	}
	heads = append(heads,
		slices.Repeat([]float32{0}, 37), slices.Repeat([]float32{1e-38, -1e-38}, 19)[:37],
		append(slices.Repeat([]float32{65504, -65504, 65519, 65520, 7e4, -1e9, 6.1e-5, 6e-8, 3e-8, 2.98e-8, -8.9e-8, 2049, 2051}, 2), slices.Repeat([]float32{127}, 11)...))
	for name, kv := range kvKinds {
		t.Run(name, func(t *testing.T) {
			eachISA(t, func(t *testing.T) {
				for i, head := range heads {
					a := newCase(rng, shape{qHeads: 1, kvHeads: 1, headDim: len(head), pageSize: 1, layers: 1, spans: []span{{0, 1}}})
					a.quantise(kv)
					a.v = head
					if err := a.run(); err != nil {
						t.Fatal(err)
					}
					want := kvHead(kv, head)
					got := a.rawValues[int(a.table[0])*len(want):][:len(want)]
					for d := range want {
						// At a tie of int8 the product by 1/scale decides, which is not the quotient.
						if got[d] != want[d] && (kv == kvF16 || d >= len(head) || math.Abs(float64(int8(got[d]))-float64(int8(want[d]))) > 1) {
							t.Errorf("head %d: byte %d is %#x, want %#x (of %v)", i, d, got[d], want[d], head[d*len(head)/len(want)])
						}
					}
				}
				// What is no number stays none: it isn't hidden.
				for _, bad := range []float32{inf, float32(math.NaN())} {
					if bad == inf && kv == kvF16 {
						continue // becomes the largest number
					}
					for _, at := range []int{0, 36} {
						a := newCase(rng, shape{qHeads: 1, kvHeads: 1, headDim: 37, pageSize: 1, layers: 1, spans: []span{{0, 1}}})
						a.quantise(kv)
						a.v[at] = bad
						if err := a.run(); err != nil {
							t.Fatal(err)
						}
						if v := float64(a.out[at]); !math.IsNaN(v) {
							t.Errorf("a value of %v gives %v", bad, v)
						}
					}
				}
			})
		})
	}
}

// Nothing but the rows' own heads is written, and no memory outside the caches.
func TestKVWritesOnlyItsOwn(t *testing.T) {
	const guard = 64
	for name, kv := range kvKinds {
		t.Run(name, func(t *testing.T) {
			eachISA(t, func(t *testing.T) {
				for _, headDim := range []int{1, 8, 31, 64, 512} {
					a := newCase(rand.New(rand.NewPCG(25, 26)), shape{qHeads: 6, kvHeads: 2, headDim: headDim, pageSize: 5, layers: 2, layer: 1, spans: []span{{37, 1}, {0, 0}, {3, 40}}})
					a.quantise(kv)
					before := slices.Clone(a.rawKeys)
					all := slices.Concat(slices.Repeat([]byte{0xa5}, guard), a.rawKeys, slices.Repeat([]byte{0xa5}, guard))
					a.rawKeys = all[guard : len(all)-guard : len(all)-guard]
					a.compareKV(t, fmt.Sprint("head_dim ", headDim))
					for i := range guard {
						if all[i] != 0xa5 || all[len(all)-1-i] != 0xa5 {
							t.Fatal("wrote outside the key cache")
						}
					}
					head := len(before) / (a.slabs * a.pageSize * a.kvHeads)
					mine := map[int]bool{}
					for s := range a.past {
						for r := range int(a.cumulative[s+1] - a.cumulative[s]) {
							position := int(a.past[s]) + r
							slab := int(a.table[s*a.columns+position/a.pageSize])*a.layers + a.layer
							mine[slab*a.pageSize+position%a.pageSize] = true
						}
					}
					for i := range before {
						if before[i] != a.rawKeys[i] && !mine[i/head/a.kvHeads] {
							t.Fatalf("head_dim %d: byte %d of another row changed", headDim, i)
						}
					}
				}
			})
		})
	}
}

// turnedQuery is the query of the head that begins at out[at], after norm and RoPE.
func (a *attention) turnedQuery(at int) []float64 {
	row, head := at/a.headDim/a.qHeads, at/a.headDim%a.qHeads
	span := 0
	for int(a.cumulative[span+1]) <= row {
		span++
	}
	q := make([]float64, a.headDim)
	for d := range q {
		q[d] = float64(a.q[row*a.qStride+head*a.headDim+d])
	}
	a.turn(q, a.qNorm, int(a.past[span])+row-int(a.cumulative[span]))
	return q
}

// One layer of 16 query heads × 64, as in BenchmarkAttention, with each kind of cache. The kinds take turns inside a
// measurement, so that a busy machine is as busy for each: ns/op is of all three, the others are the best turn of each.
func BenchmarkAttentionKV(b *testing.B) {
	for _, c := range []struct {
		name    string
		kvHeads int
		spans   []span
	}{
		{"decode/1x1024", 16, []span{{1023, 1}}},
		{"decode/8x1024", 16, repeat(8, span{1023, 1})},
		{"decode/8x4096", 16, repeat(8, span{4095, 1})},
		{"decode-gqa4/8x4096", 4, repeat(8, span{4095, 1})},
		{"prefill/256", 16, []span{{0, 256}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			names := []string{"f32", "f16", "int8"}
			var calls []*attention
			for kv := range names {
				a := newCase(rand.New(rand.NewPCG(1, 2)), shape{qHeads: 16, kvHeads: c.kvHeads, headDim: 64, pageSize: 16, layers: 1, rotary: 64, spans: c.spans})
				if kv != kvF32 {
					a.quantise(kv)
				}
				calls = append(calls, a)
			}
			best := make([]time.Duration, len(names))
			for b.Loop() {
				for kv, a := range calls {
					start := time.Now()
					if err := a.run(); err != nil {
						b.Fatal(err)
					}
					if d := time.Since(start); best[kv] == 0 || d < best[kv] {
						best[kv] = d
					}
				}
			}
			for kv, d := range best {
				b.ReportMetric(float64(d.Microseconds()), names[kv]+"-us")
			}
		})
	}
}
