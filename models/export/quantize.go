package export

import (
	"bufio"
	"math"
)

// blockSize is how many neighbouring weights of a row share a scale.
const blockSize = 32

// quantizer writes rows in MatMulNBits' layout: symmetric, unsigned with the zero point in the middle, blocks along
// the row, the last one padded with zeros, unless it is tight.
type quantizer struct {
	bits  int
	tight bool // a row ends where its numbers end, as GatherBlockQuantized has it
	plain bool // the extreme's scale in 4 bits too, to be compared with
}

// blocksOf is the number of scales of a row.
func blocksOf(k int64) int64 { return (k + blockSize - 1) / blockSize }

// row quantizes one row and appends its scales.
func (q quantizer) row(w *bufio.Writer, row []float32, scales *[]float32) (int64, error) {
	zero := 1 << (q.bits - 1)
	written := int64(0)
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
		n := blockSize
		if q.tight {
			n = len(block)
		}
		if q.bits == 4 { // two codes a byte, the first one low
			n /= 2
			for i := range n {
				codes[i] = codes[2*i] | codes[2*i+1]<<4
			}
		}
		if _, err := w.Write(codes[:n]); err != nil {
			return 0, err
		}
		written += int64(n)
	}
	return written, nil
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
	if q.bits == 8 || q.plain {
		return abs(extreme) / most
	}
	best, explained := abs(extreme)/most, float32(0)
	// −8 has no positive counterpart: a scale of the extreme's opposite sign lets the extreme take it.
	for _, full := range [2]float32{-extreme / (most + 1), abs(extreme) / most} {
		for step := range 9 {
			scale, e := q.fit(block, full*(1-0.03*float32(step)))
			if e > explained {
				best, explained = scale, e
			}
		}
	}
	if again, e := q.fit(block, best); e > explained { // the fitted scale may move codes
		best = again
	}
	return best
}

// fit is the scale with the least squared error for the codes that a scale gives, and how much of the block's squared
// sum it explains: Σ(w−sc)² is least at s = Σwc / Σc², where it is Σw² − (Σwc)²/Σc².
func (q quantizer) fit(block []float32, scale float32) (fitted, explained float32) {
	most := float32(int(1)<<(q.bits-1) - 1)
	inverse, both, own := 1/scale, float32(0), float32(0)
	for _, v := range block {
		c := nearest(v*inverse, most)
		both += v * c
		own += c * c
	}
	if own == 0 {
		return scale, 0
	}
	return both / own, both * both / own
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }
