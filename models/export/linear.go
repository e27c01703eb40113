package export

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// linear appends y = x·Wᵀ, where W [n, k] is the stored matrices stacked on each other: float ones by Gemm with the
// weights as they are laid out, x and y of their type; int8 and int4 by MatMulNBits.
func (b *builder) linear(g *onnx.Graph, x string, weights string, parts ...*safetensors.Tensor) string {
	b.flush(g)
	bits := quantBits[weights]
	if bits == 0 {
		return g.Node("", "Gemm", []string{x, b.matrix(g, weights, parts...)}, onnx.Attr{Name: "transB", V: 1})
	}
	key, n := stacked(parts)
	k := parts[0].Shape[1]
	packed, scale := b.quantized(quantizer{bits: bits, plain: b.opt.plain}, key, parts...)
	return g.Node(onnx.Microsoft, "MatMulNBits", []string{
		x,
		g.External(key+".q", onnx.Uint8, packed, n, blocksOf(k), blockSize*int64(bits)/8),
		g.External(key+".scale", onnx.Float, scale, n*blocksOf(k)),
	}, onnx.Attr{Name: "K", V: int(k)}, onnx.Attr{Name: "N", V: int(n)}, onnx.Attr{Name: "bits", V: bits},
		onnx.Attr{Name: "block_size", V: blockSize}, onnx.Attr{Name: "accuracy_level", V: 4})
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
	if q.tight && k%blockSize != 0 {
		at += "/tight"
	}
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
