package export

import (
	"io"
	"math"
)

// blockSize is how many neighbouring weights of a row share a scale.
const blockSize = 32

// quantizer writes rows in GatherBlockQuantized's layout: symmetric, unsigned with the zero point in the middle, blocks
// along the row. With 4 bits a row has an even number of weights.
type quantizer struct{ bits int }

// blocksOf is the number of scales of a row.
func blocksOf(k int64) int64 { return (k + blockSize - 1) / blockSize }

// row quantizes one row and appends its scales.
func (q quantizer) row(w io.Writer, row []float32, scales *[]float32) error {
	zero := 1 << (q.bits - 1)
	for from := 0; from < len(row); from += blockSize {
		block := row[from:min(from+blockSize, len(row))]
		scale := q.scale(block)
		*scales = append(*scales, scale)
		inverse, most := float32(0), float32(zero-1)
		if scale != 0 {
			inverse = 1 / scale
		}
		var codes [blockSize]byte
		for i := range codes {
			codes[i] = byte(zero)
			if i < len(block) {
				codes[i] = byte(int(nearest(block[i]*inverse, most)) + zero)
			}
		}
		n := len(block)
		if q.bits == 4 { // two codes a byte, the first one low
			n /= 2
			for i := range n {
				codes[i] = codes[2*i] | codes[2*i+1]<<4
			}
		}
		if _, err := w.Write(codes[:n]); err != nil {
			return err
		}
	}
	return nil
}

// nearest rounds to the nearest integer, ties to even, for |x| under 2²²: adding 1.5·2²³ leaves no bits for a fraction.
// What is beyond ±(most+1), most is clipped. Branches, and not min and max, because Go's take care of NaN and of −0,
// which costs more than all the rest here.
func nearest(x, most float32) float32 {
	const shift = 3 << 22
	if x > most {
		return most
	}
	if x < -most-1 {
		return -most - 1
	}
	return float32(x+shift) - shift
}

// scale is a block's. With 8 bits it spends the range on the extreme. 15 levels are too few to leave one of them
// unused: with 4 bits it is, of a few candidates around that, the one whose codes leave the least squared error, each
// with the scale that fits its codes best.
func (q quantizer) scale(block []float32) float32 {
	low, high := block[0], block[0]
	for _, v := range block {
		if v < low {
			low = v
		} else if v > high {
			high = v
		}
	}
	extreme := high
	if -low > high {
		extreme = low
	}
	if extreme == 0 {
		return 0
	}
	most := float32(int(1)<<(q.bits-1) - 1)
	if q.bits == 8 {
		return abs(extreme) / most
	}
	var padded [blockSize]float32 // zeros explain nothing
	copy(padded[:], block)
	best, explained := abs(extreme)/most, float32(0)
	// −8 has no positive counterpart: a scale of the extreme's opposite sign lets the extreme take it.
	for _, full := range [2]float32{-extreme / (most + 1), abs(extreme) / most} {
		for step := range 5 {
			if scale, e := fit(&padded, full*(1-0.06*float32(step))); e > explained {
				best, explained = scale, e
			}
		}
	}
	if again, e := fit(&padded, best); e > explained { // the fitted scale may move codes
		best = again
	}
	return best
}

// fit is the scale with the least squared error for the 4-bit codes that a scale gives, and how much of the block's
// squared sum it explains: Σ(w−sc)² is least at s = Σwc / Σc², where it is Σw² − (Σwc)²/Σc². An export spends its time
// here: codes are whole numbers, which clip without branches, and there are sums enough to not wait for one another.
func fit(block *[blockSize]float32, scale float32) (fitted, explained float32) {
	inverse := 1 / scale
	var both0, both1, both2, both3 float32
	var own0, own1, own2, own3 int32
	for i := 0; i < blockSize; i += 4 {
		v := (*[4]float32)(block[i:])
		c0, c1, c2, c3 := code4(v[0]*inverse), code4(v[1]*inverse), code4(v[2]*inverse), code4(v[3]*inverse)
		both0, own0 = both0+v[0]*float32(c0), own0+c0*c0
		both1, own1 = both1+v[1]*float32(c1), own1+c1*c1
		both2, own2 = both2+v[2]*float32(c2), own2+c2*c2
		both3, own3 = both3+v[3]*float32(c3), own3+c3*c3
	}
	sum, squares := both0+both1+both2+both3, float32(own0+own1+own2+own3)
	if squares == 0 {
		return scale, 0
	}
	return sum / squares, sum * sum / squares
}

// code4 is nearest for 4 bits, as a whole number: the sum's lowest bits are it.
func code4(x float32) int32 {
	const shift = 3 << 22
	return min(max(int32(math.Float32bits(x+shift)-0x4b400000), -8), 7)
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }
