package export

import (
	"bufio"
	"math"
)

// blockSize is how many neighbouring weights of a row share a scale.
const blockSize = 32

// quantizer writes rows in MatMulNBits' layout: symmetric, unsigned with the zero point in the middle, blocks along
// the row, the last one padded with zeros.
type quantizer struct{ bits int }

// row quantizes one row and appends its scales.
func (q quantizer) row(w *bufio.Writer, row []float32, scales *[]float32) (int64, error) {
	zero := 1 << (q.bits - 1)
	written := int64(0)
	for from := 0; from < len(row); from += blockSize {
		block := row[from:min(from+blockSize, len(row))]
		scale := q.scale(block)
		*scales = append(*scales, scale)
		var codes [blockSize]byte
		for i := range codes {
			codes[i] = byte(zero)
			if i < len(block) && scale != 0 {
				codes[i] = byte(q.code(block[i], scale) + zero)
			}
		}
		n := blockSize
		if q.bits == 4 { // two codes a byte, the first one low
			n = blockSize / 2
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

func (q quantizer) code(v, scale float32) int {
	most := 1<<(q.bits-1) - 1
	return max(-most-1, min(most, int(math.RoundToEven(float64(v/scale)))))
}

// scale is the one that spends the range on the block's extreme; with 4 bits, of a few around it the one with the
// least squared error: 15 levels are too few to leave one of them unused.
func (q quantizer) scale(block []float32) float32 {
	extreme := float32(0)
	for _, v := range block {
		if abs(v) > abs(extreme) {
			extreme = v
		}
	}
	if extreme == 0 {
		return 0
	}
	most := float32(int(1)<<(q.bits-1) - 1)
	if q.bits == 8 {
		return abs(extreme) / most
	}
	best, least := float32(0), math.Inf(1)
	// −8 has no positive counterpart: a scale of the extreme's opposite sign lets the extreme take it.
	for _, full := range []float32{-extreme / (most + 1), abs(extreme) / most} {
		for step := range 9 {
			scale := full * (1 - 0.03*float32(step))
			sum := 0.0
			for _, v := range block {
				d := float64(v - scale*float32(q.code(v, scale)))
				sum += d * d
			}
			if sum < least {
				best, least = scale, sum
			}
		}
	}
	return best
}

func abs(v float32) float32 { return float32(math.Abs(float64(v))) }
