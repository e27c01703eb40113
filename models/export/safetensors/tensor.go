package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/loopserve/loopserve/internal/float16"
)

// Tensor is a stored tensor. Its numbers are read when they are asked for.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int64
	file   *os.File
	offset int64
	widen  func(dst []float32, from int64) error // of one that is stored in another format

	// Blocks are its own numbers of few bits, where it has such.
	Blocks *Blocks
}

// Blocks are the numbers of a matrix in blocks of 32 of a row: with 4 bits w = scale·code + minimum, with 8 bits
// w = scale·(code − 128).
type Blocks struct {
	Bits int
	// Row gives the codes of row r, and for each block the bits of its scale and (with 4 bits) its minimum, which are float16.
	Row func(r int64, codes []uint8, scales, minima []uint16) error
}

// Widened is a tensor whose numbers read gives as float32, from `from` on.
func Widened(name string, shape []int64, read func(dst []float32, from int64) error) *Tensor {
	return &Tensor{Name: name, DType: F32, Shape: shape, widen: read}
}

// At is a tensor at a place of a file, which the caller has checked to hold it.
func At(name string, dtype DType, shape []int64, file *os.File, offset int64) *Tensor {
	return &Tensor{Name: name, DType: dtype, Shape: shape, file: file, offset: offset}
}

// Len is the number of elements.
func (t *Tensor) Len() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Read fills dst with the elements from `from` on, widened to float32. float16 and bfloat16 widen exactly.
func (t *Tensor) Read(dst []float32, from int64) error {
	size := t.DType.Size()
	if t.DType != F32 && t.DType != F16 && t.DType != BF16 {
		return fmt.Errorf("tensor %q: type %s is not read, only F32, F16 and BF16", t.Name, t.DType)
	}
	if from < 0 || from+int64(len(dst)) > t.Len() {
		return fmt.Errorf("tensor %q: elements %d to %d of %d", t.Name, from, from+int64(len(dst)), t.Len())
	}
	if t.widen != nil {
		return t.widen(dst, from)
	}
	var buf [1 << 16]byte
	for len(dst) > 0 {
		n := min(int64(len(buf))/size, int64(len(dst)))
		raw := buf[:n*size]
		if _, err := t.file.ReadAt(raw, t.offset+from*size); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		widen(dst[:n], raw, t.DType)
		dst, from = dst[n:], from+n
	}
	return nil
}

// Equal reports whether two tensors have the same shape and, widened, the same numbers.
func Equal(a, b *Tensor) (bool, error) {
	if !slices.Equal(a.Shape, b.Shape) {
		return false, nil
	}
	var x, y [1 << 14]float32
	for at := int64(0); at < a.Len(); at += int64(len(x)) {
		n := min(int64(len(x)), a.Len()-at)
		if err := errors.Join(a.Read(x[:n], at), b.Read(y[:n], at)); err != nil {
			return false, err
		}
		if !slices.Equal(x[:n], y[:n]) {
			return false, nil
		}
	}
	return true, nil
}

// Ints reads an I64 tensor whole.
func (t *Tensor) Ints() ([]int64, error) {
	if t.DType != I64 {
		return nil, fmt.Errorf("tensor %q: type %s, want I64", t.Name, t.DType)
	}
	raw := make([]byte, t.Len()*8)
	if _, err := t.file.ReadAt(raw, t.offset); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	out := make([]int64, t.Len())
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return out, nil
}

// Floats reads the tensor whole.
func (t *Tensor) Floats() ([]float32, error) {
	out := make([]float32, t.Len())
	return out, t.Read(out, 0)
}

func widen(dst []float32, raw []byte, d DType) {
	switch d { // outside the loops: every weight of a checkpoint passes here
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		}
	default:
		for i := range dst {
			dst[i] = float16.Widen(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	}
}
