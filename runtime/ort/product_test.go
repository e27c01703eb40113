//go:build cgo

package ort

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// eachProductISA runs f with every instruction set that this processor has.
func eachProductISA(t *testing.T, f func(t *testing.T)) {
	for name, isa := range map[string]int{
		"portable": productPortable, "avx2": productAVX2, "avxvnni": productAVXVNNI, "avx512vnni": productAVX512VNNI, "neon": productNEON,
	} {
		t.Run(name, func(t *testing.T) {
			if !forceProductISA(isa) {
				t.Skipf("this processor has no %s", name)
			}
			defer forceProductISA(-1)
			f(t)
		})
	}
}

// float16 widens a number of the weights' scales.
func float16(h uint16) float64 {
	exponent, fraction := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(1024+fraction, exponent-25)
	if exponent == 0 {
		v = math.Ldexp(fraction, -24)
	}
	if h>>15 != 0 {
		return -v
	}
	return v
}

// inBytes stands for 4 bits with scales of 8, among the numbers of bits.
const inBytes = -4

// blockBytes is what 32 inputs of 16 columns take, by bits.
var blockBytes = map[int]int{4: 320, 8: 544, 16: 1024, 32: 2048}

// byteGroup is the bytes of a group with scales of 8 bits: pairs of blocks, and a float32 of each column.
func byteGroup(k int) int { return (k+63)/64*576 + 64 }

// weightInBytes is weight with scales of 8 bits, of a column of a group.
func (p *product) weightInBytes(group, column, input int) float64 {
	bytes := p.weights[group*byteGroup(p.k):][:byteGroup(p.k)]
	unit := math.Float32frombits(binary.LittleEndian.Uint32(bytes[len(bytes)-64+4*column:]))
	pair, second, i := bytes[input/64*576:], input/32%2, input%32
	code := pair[second*256+i/8*64+column*4+i%4] >> (i & 4) & 15
	scales := pair[512+second*32:]
	return float64(unit) * float64(p.weightScale) * (float64(scales[column])*float64(code) - 4*float64(scales[16+column]))
}

// weight reads W[column, input] of packed weights by the contract of product.h.
func (p *product) weight(column, input int) float64 {
	group, inGroup := column/16, column%16
	if p.swiglu { // groups of gate and up take turns
		half := p.n / 2
		group, inGroup = column%half/16*2+column/half, column%half%16
	}
	if p.scaleBits == 8 {
		return p.weightInBytes(group, inGroup, input)
	}
	blockBytes := blockBytes[p.bits]
	block := p.weights[(group*((p.k+31)/32)+input/32)*blockBytes:][:blockBytes]
	i := input % 32
	switch p.bits {
	case 32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(block[i*64+inGroup*4:])))
	case 16:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(block[i/2*64+inGroup*4+i%2*2:])) << 16))
	}
	half := func(at int) float64 { return float16(binary.LittleEndian.Uint16(block[at:])) * float64(p.weightScale) }
	if p.bits == 8 {
		return half(512+2*inGroup) * float64(int(block[i/4*64+inGroup*4+i%4])-128)
	}
	code := block[i/8*64+inGroup*4+i%4]
	if i/4%2 == 1 {
		code >>= 4
	}
	return half(256+2*inGroup)*float64(code&15) + half(288+2*inGroup)
}

// reference is the result of plain arithmetic in float64, with the inputs rounded as the contract says, and how far the
// kernel may be from it: its float32 sums err with the size of what they add.
func (p *product) reference(row int) (want, tolerance []float64) {
	x := make([]float64, p.k)
	for i := range x {
		x[i] = float64(p.x[row*p.k+i])
	}
	if p.gain != nil {
		squares := 0.0
		for _, v := range x {
			squares += v * v
		}
		for i := range x {
			x[i] *= float64(p.gain[i]) / math.Sqrt(squares/float64(p.k)+float64(p.epsilon))
		}
	}
	step := make([]float64, p.k)                                  // of the codes: where rounding is a near tie the kernel may take the neighbour
	share := map[int]int{4: 128, 8: 32, 16: p.k, 32: p.k}[p.bits] // inputs with one scale
	for from := 0; from < p.k && p.bits < 16; from += share {
		block, most := x[from:min(from+share, p.k)], 0.0
		for _, v := range block {
			most = max(most, math.Abs(v))
		}
		for i, v := range block {
			if step[from+i] = most / 127; most > 0 {
				code := math.RoundToEven(v / most * 127)
				near := math.Abs(math.Abs(v/most*127-math.Trunc(v/most*127))-0.5) < 1e-3
				block[i] = code * most / 127
				if !near {
					step[from+i] = 0
				}
			} else {
				block[i], step[from+i] = 0, 0
			}
		}
	}
	sums, slack := make([]float64, p.n), make([]float64, p.n)
	for c := range sums {
		size := 0.0
		for i, v := range x {
			w := p.weight(c, i)
			sums[c] += v * w
			size += math.Abs(v*w) + 16*math.Abs(v)*float64(p.weightScale)
			slack[c] += step[i] * math.Abs(w)
		}
		slack[c] += 4e-6*size + 1e-30
	}
	if !p.swiglu {
		for c := range sums {
			if p.bias != nil {
				sums[c] += float64(p.bias[c])
			}
			if p.residual != nil {
				sums[c] += float64(p.residual[row*p.n+c])
			}
			slack[c] += 1e-6 * math.Abs(sums[c])
		}
		return sums, slack
	}
	half := p.n / 2
	for c := range half {
		gate, up := sums[c], sums[half+c]
		silu := gate / (1 + math.Exp(-gate))
		sums[c] = silu * up
		slack[c] = 1.1*slack[c]*math.Abs(up) + (math.Abs(silu)+slack[c])*slack[half+c] + 2e-6*math.Abs(silu*up)
	}
	return sums[:half], slack[:half]
}

// newProduct draws inputs and packed weights: random codes, and scales with zeros among them.
func newProduct(rng *rand.Rand, rows, k, n, bits int, swiglu, norm bool) *product {
	p := &product{rows: rows, k: k, n: n, bits: bits, swiglu: swiglu, weightScale: 0.25, epsilon: 1e-6}
	if bits == inBytes {
		p.bits, p.scaleBits = 4, 8
	}
	p.x = make([]float32, rows*k)
	for i := range p.x {
		p.x[i] = float32(rng.NormFloat64())
	}
	if norm {
		p.gain = make([]float32, k)
		for i := range p.gain {
			p.gain[i] = float32(1 + rng.NormFloat64()/4)
		}
	}
	p.weights = make([]byte, packedSize(n, k, p.bits, p.scaleBits, swiglu))
	if bits == inBytes {
		for i := range p.weights {
			p.weights[i] = byte(rng.Uint32())
			if i%byteGroup(k)%576 >= 512 && i%byteGroup(k)%32 < 16 {
				p.weights[i] &= 63
			}
		}
		for end := byteGroup(k); end <= len(p.weights); end += byteGroup(k) {
			for c := range 16 {
				unit := float32(rng.IntN(9)) / 512 // zero among them
				binary.LittleEndian.PutUint32(p.weights[end-64+4*c:], math.Float32bits(unit))
			}
		}
	}
	scales := map[int]int{4: 256, 8: 512}[bits]
	for at := 0; bits != inBytes && at < len(p.weights); at += blockBytes[bits] {
		block := p.weights[at : at+blockBytes[bits]]
		if bits >= 16 {
			randomFloats(rng, block, bits)
			continue
		}
		for i := range scales {
			block[i] = byte(rng.Uint32())
		}
		for i := scales; i < len(block); i += 2 {
			h := uint16(rng.Uint32())&0x83ff | uint16(rng.IntN(16))<<10 // below 1, denormals among them
			if rng.IntN(9) == 0 {
				h = 0
			}
			binary.LittleEndian.PutUint16(block[i:], h)
		}
	}
	width := n
	if swiglu {
		width /= 2
	}
	p.out = make([]float32, rows*width)
	return p
}

// randomFloats fills a block with float weights, zeros and denormals among them.
func randomFloats(rng *rand.Rand, block []byte, bits int) {
	for i := 0; i < len(block); i += bits / 8 {
		w := math.Float32bits(float32(rng.NormFloat64()))
		switch rng.IntN(20) {
		case 0:
			w = 0
		case 1:
			w &= 0x807fffff
		}
		if bits == 16 {
			binary.LittleEndian.PutUint16(block[i:], uint16(w>>16))
		} else {
			binary.LittleEndian.PutUint32(block[i:], w)
		}
	}
}

func (p *product) check(t *testing.T) {
	t.Helper()
	width := len(p.out) / max(p.rows, 1)
	for row := range p.rows {
		want, tolerance := p.reference(row)
		for c := range width {
			if got := float64(p.out[row*width+c]); !(math.Abs(got-want[c]) <= tolerance[c]) {
				t.Fatalf("row %d, column %d of %d×%d: %g, want %g ± %g", row, c, p.n, p.k, got, want[c], tolerance[c])
			}
		}
	}
}

// Odd numbers of rows, inputs that fill no block and columns that fill no group, each with norm, bias, residual, SwiGLU.
func TestProductAgainstPlainArithmetic(t *testing.T) {
	eachProductISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		pick := func(of ...int) int { return of[rng.IntN(len(of))] }
		for range 300 {
			p := newProduct(rng, 1+rng.IntN(28), pick(1, 4, 31, 32, 33, 64, 100, 127, 256, 300),
				2*pick(1, 7, 8, 15, 16, 17, 40), pick(4, inBytes, 8, 16, 32), rng.IntN(3) == 0, rng.IntN(2) == 0)
			if !p.swiglu && rng.IntN(2) == 0 {
				p.bias = make([]float32, p.n)
				for i := range p.bias {
					p.bias[i] = float32(rng.NormFloat64())
				}
			}
			if !p.swiglu && rng.IntN(2) == 0 {
				p.residual = make([]float32, len(p.out))
				for i := range p.residual {
					p.residual[i] = float32(rng.NormFloat64())
				}
			}
			p.threads = pick(1, 2, 3)
			p.run()
			p.check(t)
		}
	})
}

// The largest codes and scales of bytes: no sum of the kernel may leave its integers, and up to a scale of 68 the same bits
// come out everywhere.
func TestProductOfExtremes(t *testing.T) {
	type kind struct {
		bits        int
		code, scale byte
		sign        float32
	}
	first := map[kind][]float32{}
	eachProductISA(t, func(t *testing.T) {
		for _, bits := range []int{4, 8, inBytes} {
			for _, code := range []byte{0, 255} {
				for _, sign := range []float32{1, -1} {
					for _, scale := range []byte{68, 255} {
						p := newProduct(rand.New(rand.NewPCG(3, 4)), 5, 160, 32, bits, false, false)
						p.fill(code, scale)
						for i := range p.x {
							p.x[i] = sign
						}
						p.run()
						p.check(t)
						k := kind{bits, code, scale, sign}
						if t.Name() == "TestProductOfExtremes/portable" || bits == inBytes && scale > 68 {
							continue
						}
						if first[k] == nil {
							first[k] = slices.Clone(p.out)
						} else if !slices.Equal(p.out, first[k]) {
							t.Errorf("%v: other bits than on another instruction set", k)
						}
					}
				}
			}
		}
	})
}

// fill sets all codes, and all scales that are bytes.
func (p *product) fill(code, scale byte) {
	group, block, codes := len(p.weights), blockBytes[p.bits], map[int]int{4: 256, 8: 512}[p.bits]
	if p.scaleBits == 8 {
		group, block, codes = byteGroup(p.k), 576, 512
	}
	for i := range p.weights {
		switch at := i % group; {
		case p.scaleBits == 8 && at >= group-64: // the columns' floats
		case at%block < codes:
			p.weights[i] = code
		case p.scaleBits == 8 && at%32 < 16:
			p.weights[i] = scale
		}
	}
}

// What is not a number, or infinite, spoils its own row and no other.
func TestProductKeepsNaNToItsRow(t *testing.T) {
	eachProductISA(t, func(t *testing.T) {
		for _, bits := range []int{4, inBytes, 8, 16, 32} {
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				p := newProduct(rand.New(rand.NewPCG(5, 6)), 3, 64, 16, bits, false, false)
				p.run()
				before := slices.Clone(p.out)
				p.x[64+40] = bad
				p.run()
				for c := range p.n {
					if v := float64(p.out[p.n+c]); !math.IsNaN(v) && !math.IsInf(v, 0) && p.weight(c, 40) != 0 {
						t.Fatalf("%d bits, an input of %g: column %d is %g", bits, bad, c, v)
					}
				}
				if !slices.Equal(p.out[:p.n], before[:p.n]) || !slices.Equal(p.out[2*p.n:], before[2*p.n:]) {
					t.Fatalf("%d bits: an input of %g changed another row", bits, bad)
				}
			}
		}
	})
}

// A row's result is the same to the bit alone and in any company, on any number of threads.
func TestProductRowAloneEqualsRowInCompany(t *testing.T) {
	eachProductISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		for _, bits := range []int{4, inBytes, 8, 16, 32} {
			for _, swiglu := range []bool{false, true} {
				k := map[bool]int{false: 320, true: 340}[bits == inBytes] // blocks that make no pairs
				all := withAll(rng, 37, k, 96, bits)
				if swiglu {
					all = newProduct(rng, 37, k, 96, bits, true, true)
				}
				width := len(all.out) / all.rows
				all.threads = 2
				all.run()
				for from := 0; from < all.rows; {
					some := *all
					some.rows, some.threads = min(1+rng.IntN(14), all.rows-from), 1+rng.IntN(3)
					some.x = all.x[from*all.k : (from+some.rows)*all.k]
					if some.out = make([]float32, some.rows*width); !swiglu {
						some.residual = all.residual[from*width : (from+some.rows)*width]
					}
					some.run()
					if !slices.Equal(some.out, all.out[from*width:(from+some.rows)*width]) {
						t.Fatalf("%d bits: rows %d to %d differ from the same rows among %d", bits, from, from+some.rows, all.rows)
					}
					from += some.rows
				}
			}
		}
	})
}

// The threads of our own serve one call at a time: others, which come meanwhile, have the same results without them, and
// so has a call whose threads sleep.
func TestProductsAtTheSameTime(t *testing.T) {
	defer setCrewSpin(true)
	for _, spin := range []bool{true, false} {
		setCrewSpin(spin)
		want := newProduct(rand.New(rand.NewPCG(11, 12)), 9, 512, 512, 4, false, true)
		want.run()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				some := *want
				some.threads = 3
				for range 200 {
					some.out = make([]float32, len(want.out))
					some.run()
					if !slices.Equal(some.out, want.out) {
						t.Error("a product beside others differs from the one alone")
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

// What a row gives is the same to the bit on every instruction set with vectors, x86's and ARM's: they share the order of
// floats. The sum over all bits is the same wherever this test runs.
func TestProductIsTheSameOnEveryVectorISA(t *testing.T) {
	everywhere := [...]uint64{0x3219728d2cc19e27, 0x685aae8644ae988f} // until rounding is changed on purpose
	sums, rng := [...]hash.Hash64{fnv.New64a(), fnv.New64a()}, rand.New(rand.NewPCG(9, 10))
	for i := range 120 {
		sum, draw := sums[0], func() int { return 4 << rng.IntN(4) }
		if i >= 80 {
			sum, draw = sums[1], func() int { return inBytes }
		}
		p := newProduct(rng, 1+rng.IntN(19), 1+rng.IntN(300), 2*(1+rng.IntN(60)), draw(), rng.IntN(2) == 0, rng.IntN(2) == 0)
		if i >= 80 && !p.swiglu {
			p = withAll(rng, p.rows, p.k, p.n, inBytes)
		}
		p.threads = 1 + rng.IntN(3)
		var want []float32
		for _, isa := range []int{productAVX2, productAVXVNNI, productAVX512VNNI, productNEON, -1} { // -1: the one that is chosen
			if !forceProductISA(isa) {
				continue
			}
			if isa < 0 && want == nil {
				t.Skip("this processor has none with vectors")
			}
			p.run()
			forceProductISA(-1)
			if want == nil {
				want = slices.Clone(p.out)
			} else if !slices.Equal(p.out, want) {
				t.Fatalf("%d rows of %d×%d in %d bits: instruction set %d differs from the first one", p.rows, p.n, p.k, p.bits, isa)
			}
		}
		for _, v := range want {
			sum.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
		}
	}
	for i, want := range everywhere {
		if got := sums[i].Sum64(); got != want {
			t.Errorf("the bits of all products come to %#x, elsewhere to %#x", got, want)
		}
	}
}

// [rows, 1024] × [1024, 5632] as in docs/adr/0009; GMAC/s counts one multiplication with its addition.
func BenchmarkProduct(b *testing.B) {
	for _, bits := range []int{4, inBytes, 8, 16, 32} {
		for _, isa := range []int{productPortable, productAVX2, productAVXVNNI, productAVX512VNNI, productNEON} {
			for _, rows := range []int{1, 2, 4, 8, 16, 128} {
				b.Run(fmt.Sprintf("bits=%d/isa=%d/rows=%d", bits, isa, rows), func(b *testing.B) {
					if !forceProductISA(isa) {
						b.Skip("not on this processor")
					}
					defer forceProductISA(-1)
					p := newProduct(rand.New(rand.NewPCG(1, 2)), rows, 1024, 5632, bits, false, false)
					for b.Loop() {
						p.run()
					}
					b.ReportMetric(float64(rows)*1024*5632/(b.Elapsed().Seconds()/float64(b.N))/1e9, "GMAC/s")
				})
			}
		}
	}
}
