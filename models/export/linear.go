package export

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// linear appends y = x·Wᵀ, where W [n, k] is the stored matrices stacked on each other: float32 by Gemm with the
// weights as they are stored, int8 and int4 by MatMulNBits.
func (b *builder) linear(g *onnx.Graph, x string, weights string, parts ...*safetensors.Tensor) string {
	b.flush(g)
	n, k := int64(0), parts[0].Shape[1]
	var names []string
	for _, t := range parts {
		n += t.Shape[0]
		names = append(names, t.Name)
	}
	key := strings.Join(names, "+")
	if weights == WeightsF32 {
		place := b.put(key, func(w *bufio.Writer) (int64, error) {
			total := int64(0)
			err := rows(parts, func(row []float32) error {
				written, err := writeFloats(w, row)
				total += written
				return err
			})
			return total, err
		})
		return g.Node("", "Gemm", []string{x, g.External(key, onnx.Float, place, n, k)}, onnx.Attr{Name: "transB", V: 1})
	}
	q := quantizer{bits: 8}
	if weights == WeightsInt4 {
		q.bits = 4
	}
	blocks := (k + blockSize - 1) / blockSize
	scales := make([]float32, 0, n*blocks)
	packed := b.put(fmt.Sprintf("%s/q%d", key, q.bits), func(w *bufio.Writer) (int64, error) {
		total := int64(0)
		err := rows(parts, func(row []float32) error {
			written, err := q.row(w, row, &scales)
			total += written
			return err
		})
		return total, err
	})
	scale := b.put(fmt.Sprintf("%s/s%d", key, q.bits), func(w *bufio.Writer) (int64, error) { return writeFloats(w, scales) })
	return g.Node(onnx.Microsoft, "MatMulNBits", []string{
		x,
		g.External(key+".q", onnx.Uint8, packed, n, blocks, blockSize*int64(q.bits)/8),
		g.External(key+".scale", onnx.Float, scale, n*blocks),
	}, onnx.Attr{Name: "K", V: int(k)}, onnx.Attr{Name: "N", V: int(n)}, onnx.Attr{Name: "bits", V: q.bits},
		onnx.Attr{Name: "block_size", V: blockSize}, onnx.Attr{Name: "accuracy_level", V: 4})
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
	if b.opt.Progress != nil {
		b.opt.Progress(b.data.at, key)
	}
	return p
}
