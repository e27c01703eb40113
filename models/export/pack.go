package export

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/loopserve/loopserve/internal/float16"
	"github.com/loopserve/loopserve/models/export/onnx"
)

// The layout that loopserve.PackedLinear reads (docs/bundle-format.md): groups of 16 columns of the product, each a run
// of blocks of 32 inputs, in each float numbers input by input, or the codes, then the scales, then with 4 bits the minima.
// groupOfBytes says how blocks stand whose scales are bytes.
const groupColumns = 16

// packer writes a matrix in that layout: with 4 bits w = scale·code + minimum, or w = column's unit·(scale·code − 4·minimum)
// in bytes, with 8 bits w = scale·(code − 128), with 16 bits a bfloat16, with 32 a float32.
type packer struct {
	bits  int
	bytes bool    // scales and minima are bytes
	unit  float32 // else they are float16 multiples of it: a power of two
}

// eightBits chooses the unit so that the largest scale of a matrix stays well inside float16, whose small numbers then are
// far below what the matrix can tell apart. most is the matrix's largest absolute value.
func eightBits(most float32) packer {
	if most == 0 {
		return packer{bits: 8, unit: 1}
	}
	_, exponent := math.Frexp(float64(most)) // most < 2^exponent
	return packer{bits: 8, unit: float32(math.Ldexp(1, max(exponent, -100)-14))}
}

func (p packer) blockBytes() int64 {
	if p.bits == 4 {
		return groupColumns*blockSize/2 + 4*groupColumns
	}
	return groupColumns*blockSize + 2*groupColumns
}

// column is one of a product's: its numbers, or codes that a checkpoint has already.
type column struct {
	values         []float32
	codes          []uint8 // nil: values are to be quantized
	scales, minima []uint16
}

// newColumn has room for k numbers, and for the codes of a checkpoint where they are kept.
func newColumn(k int64, kept bool) column {
	c := column{values: make([]float32, k)}
	if kept {
		c.codes, c.scales, c.minima = make([]uint8, k), make([]uint16, blocksOf(k)), make([]uint16, blocksOf(k))
	}
	return c
}

// group writes the blocks of up to 16 columns, all of k inputs.
func (p packer) group(w io.Writer, columns []column) error {
	if p.bits >= 16 {
		return p.floats(w, columns)
	}
	if p.bytes {
		return groupOfBytes(w, columns)
	}
	k := len(columns[0].values)
	block := make([]byte, p.blockBytes())
	for from := 0; from < k; from += blockSize {
		clear(block)
		for c := range columns {
			p.block(block, c, &columns[c], from)
		}
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	return nil
}

// floats is group for float weights. Two bfloat16 stand for neighbouring inputs of a column.
func (p packer) floats(w io.Writer, columns []column) error {
	each, element := 32/p.bits, map[int]onnx.Type{16: onnx.BFloat16, 32: onnx.Float}[p.bits]
	block := make([]float32, groupColumns*blockSize)
	for from, k := 0, len(columns[0].values); from < k; from += blockSize {
		clear(block)
		for c := range columns {
			for i, v := range columns[c].values[from:min(from+blockSize, k)] {
				block[(i/each*groupColumns+c)*each+i%each] = v
			}
		}
		if err := writeAs(w, element, block); err != nil {
			return err
		}
	}
	return nil
}

// block puts one column's inputs, those behind `from`, into a block.
func (p packer) block(block []byte, c int, from *column, at int) {
	var codes [blockSize]uint8
	var scale, minimum uint16
	values := from.values[at:min(at+blockSize, len(from.values))]
	if from.codes != nil { // whole blocks
		copy(codes[:], from.codes[at:])
		scale, minimum = from.scales[at/blockSize], from.minima[at/blockSize]
	} else {
		scale = p.quantize8(&codes, values)
	}
	if p.bits == 8 {
		for i, code := range codes {
			block[i/4*64+4*c+i%4] = code
		}
		binary.LittleEndian.PutUint16(block[groupColumns*blockSize+2*c:], scale)
		return
	}
	for i, code := range codes {
		block[i/8*64+4*c+i%4] |= code << (i & 4)
	}
	half := groupColumns*blockSize/2 + 2*c
	binary.LittleEndian.PutUint16(block[half:], scale)
	binary.LittleEndian.PutUint16(block[half+2*groupColumns:], minimum)
}

// widen is what a stored float16 stands for.
func (p packer) widen(h uint16) float32 { return float16.Widen(h) * p.unit }

// quantize8 spends the range of 8 bits on the largest number: a scale that was rounded up cuts nothing off.
func (p packer) quantize8(codes *[blockSize]uint8, values []float32) (scale uint16) {
	most := float32(0)
	for _, v := range values {
		most = max(most, abs(v))
	}
	if scale = float16.Of(most / 127 / p.unit); p.widen(scale)*127 < most {
		scale++ // the next half
	}
	inverse := float32(0)
	if s := p.widen(scale); s > 0 {
		inverse = 1 / s
	}
	for i := range codes {
		codes[i] = 128
		if i < len(values) {
			codes[i] = uint8(int(nearest(values[i]*inverse, 127)) + 128)
		}
	}
	return scale
}

// groupOfBytes is group for scales and minima that are bytes: two blocks side by side, and each column's unit at the end.
func groupOfBytes(w io.Writer, columns []column) error {
	const codes, pair = groupColumns * blockSize / 2, groupColumns*blockSize + 4*groupColumns
	blocks := int(blocksOf(int64(len(columns[0].values))))
	group := make([]byte, (blocks+1)/2*pair+4*groupColumns)
	for c, column := range columns {
		lines, most := make([]fitted, blocks), float32(0)
		for b := range lines {
			lines[b] = lineOf(column.block(b))
			most = max(most, lines[b].scale)
		}
		unit := most / mostScale
		if unit < 0x1p-126 { // its inverse may be infinite
			continue
		}
		binary.LittleEndian.PutUint32(group[len(group)-4*groupColumns+4*c:], math.Float32bits(unit))
		for b, line := range lines {
			best := line.inBytes(column.block(b), unit)
			at := group[b/2*pair:]
			for i, code := range best.codes {
				at[b%2*codes+i/8*64+4*c+i%4] |= code << (i & 4)
			}
			scales := at[2*codes+b%2*2*groupColumns:]
			scales[c], scales[groupColumns+c] = best.scale, best.minimum
		}
	}
	_, err := w.Write(group)
	return err
}

// block is the column's inputs of a block.
func (c *column) block(b int) []float32 {
	return c.values[b*blockSize : min((b+1)*blockSize, len(c.values))]
}

// mostScale is the largest scale of a byte: the products of four blocks with it stay below 2²⁴, where float32 has each
// integer, and the largest minimum, 4·255, is 15 of it.
const mostScale = 68

// lineOf looks for the line whose codes leave the least squared error of a block. It starts from the one through its least
// and largest and zero, tries ranges a little wider and narrower than that, and fits each one's codes. Its minimum is one
// that inBytes can have.
func lineOf(values []float32) fitted {
	low, high := float32(0), float32(0)
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	whole := fitted{scale: (high - low) / 15, minimum: low}
	if whole.scale == 0 {
		return whole
	}
	var above [blockSize]float32 // of low: sums of squares do not cancel
	for i, v := range values {
		above[i] = v - low
	}
	line := fitted{scale: whole.scale}
	for _, wider := range [...]float32{0, -0.5, 0.5, 1, 1.5} {
		line.try(above[:len(values)], (1+wider/15)/whole.scale, 0)
	}
	line.try(above[:len(values)], 1/line.scale, line.minimum) // the fitted line may move codes
	if line.minimum += low; line.minimum > 0 || -line.minimum > 15*line.scale {
		return whole
	}
	return line
}

// levels is a block whose scale and minimum are bytes.
type levels struct {
	codes          [blockSize]uint8
	scale, minimum uint8
}

// inBytes finds the scale and the minimum near a line that leave the least squared error: of the two multiples of unit next
// to its scale, each with the line's minimum and with those that the codes then ask for.
func (f *fitted) inBytes(values []float32, unit float32) (best levels) {
	var x [blockSize]float32 // in units
	for i, v := range values {
		x[i] = v / unit
	}
	least, down := float32(math.Inf(1)), min(max(int(f.scale/unit), 1), mostScale)
	for scale := down; scale <= min(down+1, mostScale); scale++ {
		step, inverse, minimum := float32(scale), 1/float32(scale), f.minimum/unit
		for range 3 {
			try := levels{scale: uint8(scale), minimum: uint8(min(max(nearest(minimum/-4, 255), 0), 255))}
			from := 4 * float32(try.minimum)
			sum, wrong := float32(0), float32(0)
			for i, v := range x[:len(values)] {
				code := code15((v + from) * inverse)
				try.codes[i] = uint8(code)
				rest := v - float32(code)*step
				sum += rest
				wrong += (rest + from) * (rest + from)
			}
			if wrong < least {
				least, best = wrong, try
			}
			minimum = sum / float32(len(values))
		}
	}
	return best
}

// fitted is the best line so far, and how much of the block's squared sum it explains.
type fitted struct{ scale, minimum, explained float32 }

// try takes the codes of one line and keeps the line that fits them best, if it explains more. The squared error
// Σ(v−sc−m)² is least at s = (nΣvc−ΣvΣc) / (nΣc²−(Σc)²), m = (Σv−sΣc)/n, where it is Σv² − sΣvc − mΣv.
func (f *fitted) try(values []float32, inverse, minimum float32) {
	var sum, both float32
	var codes, squares int32
	for _, v := range values {
		c := code15((v - minimum) * inverse)
		sum, both = sum+v, both+v*float32(c)
		codes, squares = codes+c, squares+c*c
	}
	n := int32(len(values))
	spread := n*squares - codes*codes
	if spread == 0 {
		return
	}
	s := (float32(n)*both - sum*float32(codes)) / float32(spread)
	m := (sum - s*float32(codes)) / float32(n)
	if explained := s*both + m*sum; s > 0 && explained > f.explained {
		*f = fitted{s, m, explained}
	}
}

// code15 rounds to the nearest integer of 0 … 15, for |x| under 2²².
func code15(x float32) int32 {
	const shift = 3 << 22
	return min(max(int32(math.Float32bits(x+shift)-0x4b400000), 0), 15)
}
