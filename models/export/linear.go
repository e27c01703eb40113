package export

import (
	"bufio"
	"fmt"
	"math"
	"strings"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// linear appends y = x·Wᵀ, where W [n, k] is the stored matrices stacked on each other: float ones by Gemm with the
// weights as they are laid out, x and y of their type; int8 and int4 by loopserve.QuantLinear.
func (b *builder) linear(g *onnx.Graph, x string, weights string, parts ...*safetensors.Tensor) string {
	b.flush(g)
	if bits := quantBits[weights]; bits != 0 {
		return b.quantLinear(g, x, bits, activationNone, parts)
	}
	return g.Node("", "Gemm", []string{x, b.matrix(g, weights, parts...)}, onnx.Attr{Name: "transB", V: 1})
}

// What loopserve.QuantLinear does with its columns: its attribute activation.
const (
	activationNone = iota
	activationSwiGLU
)

// quantLinear appends a product with packed weights. With activationSwiGLU the first half of the columns is the gate.
func (b *builder) quantLinear(g *onnx.Graph, x string, bits, act int, parts []*safetensors.Tensor) string {
	key, n := stacked(parts)
	key += fmt.Sprintf("/packed%d", bits)
	if act == activationSwiGLU {
		key += "/swiglu"
	}
	k := parts[0].Shape[1]
	p := newPacker(bits, b.largest(key, parts))
	place := b.put(key, func(w *bufio.Writer) (int64, error) { return b.pack(w, p, act, parts) })
	inputs := make([]string, linearInputs)
	inputs[linearX], inputs[linearWeights] = x, g.External(key, onnx.Uint8, place, place.Length)
	return g.Node(onnx.Loopserve, quantLinear, inputs,
		onnx.Attr{Name: "K", V: int(k)}, onnx.Attr{Name: "N", V: int(n)}, onnx.Attr{Name: "bits", V: bits},
		onnx.Attr{Name: "activation", V: act}, onnx.Attr{Name: "weight_scale", V: float64(p.unit)})
}

// largest is the largest absolute value of the parts. It refuses what is not a number.
func (b *builder) largest(key string, parts []*safetensors.Tensor) float32 {
	most := float32(0)
	for _, t := range parts {
		row := make([]float32, t.Shape[1])
		for r := range t.Shape[0] {
			if b.err == nil {
				b.err = t.Read(row, r*t.Shape[1])
			}
			if b.err != nil {
				return 0
			}
			for _, v := range row {
				most = max(most, abs(v)) // NaN, once met, stays
			}
		}
	}
	if math.IsNaN(float64(most)) || math.IsInf(float64(most), 0) {
		b.fail("write %s: a weight is %v: the checkpoint is damaged", key, most)
	}
	return most
}

// pack writes the parts' rows, the product's columns, in groups. With activationSwiGLU groups of both halves take turns.
func (b *builder) pack(w *bufio.Writer, p packer, act int, parts []*safetensors.Tensor) (int64, error) {
	_, n := stacked(parts)
	width, turns := n, int64(1)
	if act == activationSwiGLU {
		width, turns = n/2, 2
	}
	k := parts[0].Shape[1]
	memory := make([]float32, groupColumns*k)
	written := int64(0)
	for from := int64(0); from < width; from += groupColumns {
		for turn := range turns {
			columns := make([][]float32, min(groupColumns, width-from))
			for c := range columns {
				columns[c] = memory[int64(c)*k:][:k]
				if err := b.stackedRow(parts, turn*width+from+int64(c), columns[c]); err != nil {
					return 0, err
				}
			}
			if err := p.group(w, columns); err != nil {
				return 0, err
			}
			written += blocksOf(k) * p.blockBytes()
		}
	}
	return written, nil
}

// stackedRow reads row r of the matrices that are stacked on each other.
func (b *builder) stackedRow(parts []*safetensors.Tensor, r int64, row []float32) error {
	for _, t := range parts {
		if r < t.Shape[0] {
			if err := t.Read(row, r*t.Shape[1]); err != nil {
				return err
			}
			return b.advance(t.Shape[1], t.Name)
		}
		r -= t.Shape[0]
	}
	return nil
}

// stacked names matrices on top of each other, and counts their rows.
func stacked(parts []*safetensors.Tensor) (key string, rows int64) {
	names := make([]string, 0, len(parts))
	for _, t := range parts {
		rows += t.Shape[0]
		names = append(names, t.Name)
	}
	return strings.Join(names, "+"), rows
}

// quantized writes the codes and scales of the parts' rows.
func (b *builder) quantized(q quantizer, key string, parts ...*safetensors.Tensor) (codes, scale onnx.Place) {
	k := parts[0].Shape[1]
	at := fmt.Sprintf("%s/q%d", key, q.bits)
	_, n := stacked(parts)
	scales := make([]float32, 0, n*blocksOf(k))
	codes = b.put(at, func(w *bufio.Writer) (int64, error) {
		total := int64(0)
		err := b.rows(parts, func(row []float32) error {
			written, err := q.row(w, row, &scales)
			total += written
			return err
		})
		return total, err
	})
	scale = b.put(fmt.Sprintf("%s/s%d", key, q.bits), func(w *bufio.Writer) (int64, error) { return writeFloats(w, scales) })
	return codes, scale
}

// put writes a tensor's bytes, and keeps the first error: graphs are built straight through, and the error is looked
// at once a stage is complete.
func (b *builder) put(key string, fill func(w *bufio.Writer) (int64, error)) onnx.Place {
	if b.err == nil {
		b.err = b.ctx.Err()
	}
	if b.err != nil {
		return onnx.Place{File: b.data.name}
	}
	p, err := b.data.place(key, fill)
	if err != nil {
		b.err = fmt.Errorf("write %s: %w", key, err)
	}
	return p
}
