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

// scale is the one that spends the range on the block's extreme; with 4 bits, of a few around it the one with the
// least squared error: 15 levels are too few to leave one of them unused.
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
	best, least := float32(0), float32(math.Inf(1))
	// −8 has no positive counterpart: a scale of the extreme's opposite sign lets the extreme take it.
	for _, full := range [2]float32{-extreme / (most + 1), abs(extreme) / most} {
		for step := range 9 {
			scale := full * (1 - 0.03*float32(step))
			if sum := q.error(block, scale); sum < least {
				best, least = scale, sum
			}
		}
	}
	return best
}

// error is the block's squared error with that scale.
func (q quantizer) error(block []float32, scale float32) float32 {
	most := float32(int(1)<<(q.bits-1) - 1)
	inverse, sum := 1/scale, float32(0)
	for _, v := range block {
		d := v - scale*nearest(v*inverse, most)
		sum += d * d
	}
	return sum
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }
