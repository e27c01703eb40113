package export

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/internal/float16"
)

// unpack reads W[column, input] by the contract of docs/bundle-format.md.
func (p packer) unpack(packed []byte, k, column, input int) float32 {
	if p.bytes {
		return unpackBytes(packed, k, column, input)
	}
	block := packed[(column/16*int(blocksOf(int64(k)))+input/32)*int(p.blockBytes()):][:p.blockBytes()]
	c, i := column%16, input%32
	half := func(at int) float32 { return p.widen(binary.LittleEndian.Uint16(block[at:])) }
	if p.bits == 8 {
		return half(512+2*c) * float32(int(block[i/4*64+4*c+i%4])-128)
	}
	return half(256+2*c)*float32(block[i/8*64+4*c+i%4]>>(i&4)&15) + half(288+2*c)
}

// unpackBytes is unpack where scales and minima are bytes.
func unpackBytes(packed []byte, k, column, input int) float32 {
	size := (k+63)/64*576 + 64
	group, c, second, i := packed[column/16*size:][:size], column%16, input/32%2, input%32
	pair := group[input/64*576:]
	code := pair[second*256+i/8*64+4*c+i%4] >> (i & 4) & 15
	unit := math.Float32frombits(binary.LittleEndian.Uint32(group[size-64+4*c:]))
	return unit * (float32(pair[512+32*second+c])*float32(code) - 4*float32(pair[528+32*second+c]))
}

// packedBytes is what n columns of k inputs take.
func (p packer) packedBytes(n, k int64) int64 {
	groups := (n + groupColumns - 1) / groupColumns
	if p.bytes {
		return groups * ((k+63)/64*576 + 64)
	}
	return groups * blocksOf(k) * p.blockBytes()
}

func valuesOf(columns [][]float32) (out []column) {
	for _, v := range columns {
		out = append(out, column{values: v})
	}
	return out
}

func pack(t *testing.T, bits int, columns [][]float32) (packer, []byte) {
	t.Helper()
	most := float32(0)
	for _, column := range columns {
		for _, v := range column {
			most = max(most, abs(v))
		}
	}
	p := packer{bits: 4, bytes: true, unit: 1}
	if bits == 8 {
		p = eightBits(most)
	}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	for from := 0; from < len(columns); from += 16 {
		if err := p.group(w, valuesOf(columns[from:min(from+16, len(columns))])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := p.packedBytes(int64(len(columns)), int64(len(columns[0]))); int64(b.Len()) != want {
		t.Fatalf("%d bytes, want %d", b.Len(), want)
	}
	return p, b.Bytes()
}

func random(rng *rand.Rand, n, k int, size float32) [][]float32 {
	columns := make([][]float32, n)
	for c := range columns {
		columns[c] = make([]float32, k)
		for i := range columns[c] {
			columns[c][i] = float32(rng.NormFloat64()) * size
		}
	}
	return columns
}

// Every weight comes back within what its block's range leaves, with zero where scales are bytes: half a step, and the
// rounding of step and minimum. Columns of one sign and little spread, which no line near theirs can have, are among them.
func TestPackedWeightsComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, bits := range []int{4, 8} {
		for _, size := range []float32{1e-12, 1e-3, 1, 1e5, 1e30} {
			columns := random(rng, 21, 77, size)
			columns[3] = make([]float32, 77) // zeros
			for i := range columns[4] {
				columns[4][i] = size // all alike
				columns[5][i] = size * (0.95 + 0.05*float32(i%2))
				columns[6][i] = -columns[5][i]
				columns[7][i] *= 1e-3 // small, but for the last block
			}
			columns[7][76] = size
			p, packed := pack(t, bits, columns)
			for c, column := range columns {
				span := 0.0 // of a block, the largest
				for from := 0; from < len(column); from += 32 {
					block := column[from:min(from+32, len(column))]
					span = max(span, float64(max(slices.Max(block), 0)-min(slices.Min(block), 0)))
				}
				for from := 0; from < len(column); from += 32 {
					block, low, high, squares, error2 := column[from:min(from+32, len(column))], float32(math.Inf(1)), float32(math.Inf(-1)), 0.0, 0.0
					for i, v := range block {
						low, high = min(low, v), max(high, v)
						squares += float64(v) * float64(v)
						d := float64(v) - float64(p.unpack(packed, len(column), c, from+i))
						error2 += d * d
					}
					most := max(math.Abs(float64(low)), math.Abs(float64(high)))
					step := 2 * most / 254
					if bits == 4 {
						step = float64(max(high, 0)-min(low, 0))/15*1.02 + 2*span/15/mostScale
					}
					if limit := step/math.Sqrt(12)*1.35 + most/1500; math.Sqrt(error2/float64(len(block))) > limit {
						t.Errorf("%d bits, size %g, column %d from %d: RMS error %g, want at most %g", bits, size, c, from, math.Sqrt(error2/float64(len(block))), limit)
					}
				}
			}
		}
	}
}

// float32 weights come back as they are, bfloat16 ones rounded; what fills a group or a block up is zero.
func TestPackedFloatsComeBack(t *testing.T) {
	columns := random(rand.New(rand.NewPCG(9, 10)), 21, 77, 1)
	for _, bits := range []int{16, 32} {
		var packed bytes.Buffer
		p := packer{bits: bits, unit: 1}
		for from := 0; from < len(columns); from += 16 {
			if err := p.group(&packed, valuesOf(columns[from:min(from+16, len(columns))])); err != nil {
				t.Fatal(err)
			}
		}
		if want := 2 * 3 * 32 * 16 * bits / 8; packed.Len() != want {
			t.Fatalf("%d bits: %d bytes, want %d", bits, packed.Len(), want)
		}
		for c := range 32 {
			for i := range 96 {
				want := float32(0)
				if c < len(columns) && i < 77 {
					want = columns[c][i]
				}
				at := packed.Bytes()[(c/16*3+i/32)*32*16*bits/8:]
				var got float32
				if bits == 16 {
					got = math.Float32frombits(uint32(binary.LittleEndian.Uint16(at[i%32/2*64+c%16*4+i%2*2:])) << 16)
					want = math.Float32frombits(uint32(float16.Brain(want)) << 16)
				} else {
					got = math.Float32frombits(binary.LittleEndian.Uint32(at[i%32*64+c%16*4:]))
				}
				if got != want {
					t.Fatalf("%d bits, column %d, input %d: %v, want %v", bits, c, i, got, want)
				}
			}
		}
	}
}

// The search is worth its time: on normal weights the error is well below that of a symmetric block.
func TestPackingAgainstSymmetricBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	columns := random(rng, 64, 256, 0.02)
	p, packed := pack(t, 4, columns)
	asymmetric, symmetric := 0.0, 0.0
	for c, column := range columns {
		for i, v := range column {
			d := float64(v - p.unpack(packed, len(column), c, i))
			asymmetric += d * d
		}
		for from := 0; from < len(column); from += 32 {
			block := column[from : from+32]
			scale := quantizer{bits: 4}.scale(block)
			for _, v := range block {
				d := float64(v) - float64(nearest(v/scale, 7)*scale)
				symmetric += d * d
			}
		}
	}
	if ratio := math.Sqrt(asymmetric / symmetric); ratio > 0.92 {
		t.Errorf("the RMS error is %.3f of a symmetric block's, want at most 0.92", ratio)
	} else {
		t.Logf("the RMS error is %.3f of a symmetric block's", ratio)
	}
}

func BenchmarkPack(b *testing.B) {
	columns := random(rand.New(rand.NewPCG(7, 8)), 16, 4096, 0.02)
	for _, bits := range []int{4, 8} {
		b.Run(map[int]string{4: "4", 8: "8"}[bits], func(b *testing.B) {
			p := packer{bits: 4, bytes: true}
			if bits == 8 {
				p = eightBits(0.1)
			}
			w := bufio.NewWriter(&bytes.Buffer{})
			b.SetBytes(16 * 4096 * 4)
			for b.Loop() {
				if err := p.group(w, valuesOf(columns)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
