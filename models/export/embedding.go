package export

import (
	"bufio"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// gather appends the rows of the table that the ids name, as activations. The table is stored in the embedding's
// precision: float, or 8 or 4 bits with a scale for each block of a row.
func (b *builder) gather(g *onnx.Graph, ids string, table *safetensors.Tensor) string {
	switch b.opt.Embedding {
	case Int8, Int4:
		return b.down(g, b.gatherQuantized(g, ids, table))
	}
	x := g.Node("", "Gather", []string{b.matrix(g, b.opt.Embedding, table), ids}, onnx.Attr{Name: "axis", V: 0})
	if stored := elements[b.opt.Embedding]; stored != b.act {
		x = cast(g, x, b.act)
	}
	return x
}

// gatherQuantized appends com.microsoft.GatherBlockQuantized, in symmetric blocks of 32.
func (b *builder) gatherQuantized(g *onnx.Graph, ids string, table *safetensors.Tensor) string {
	bits, n, k := quantBits[b.opt.Embedding], table.Shape[0], table.Shape[1]
	if k*int64(bits)%8 != 0 {
		b.fail("tensor %q has rows of %d numbers, which don't fill bytes with %d bits each: choose --embedding f32, bf16 or int8", table.Name, k, bits)
	}
	data, scale := b.quantized(quantizer{bits}, table.Name, table)
	return g.Node(onnx.Microsoft, "GatherBlockQuantized", []string{
		g.External(table.Name+".rows", onnx.Uint8, data, n, k*int64(bits)/8),
		ids,
		g.External(table.Name+".row_scales", onnx.Float, scale, n, blocksOf(k)),
	}, onnx.Attr{Name: "bits", V: bits}, onnx.Attr{Name: "block_size", V: blockSize},
		onnx.Attr{Name: "gather_axis", V: 0}, onnx.Attr{Name: "quantize_axis", V: 1})
}

// logits appends the head on h, and the output logits, which are float32: computed in the head's precision, and
// widened where that is less.
func (b *builder) logits(g *onnx.Graph, h string, head *safetensors.Tensor) {
	x := h
	if b.opt.Head == F32 {
		x = b.up(g, h)
	}
	y := b.linear(g, x, b.opt.Head, head)
	if b.opt.Head == F16 || b.opt.Head == BF16 {
		y = b.up(g, y)
	}
	g.NodeTo("", "Identity", []string{y}, []string{"logits"})
}

// matrix is a stored matrix, or several on top of each other, as an initializer [n, k] of a float type.
func (b *builder) matrix(g *onnx.Graph, precision string, parts ...*safetensors.Tensor) string {
	key, n := stacked(parts)
	if precision != F32 {
		key += "/" + precision
	}
	place := b.put(key, func(w *bufio.Writer) (int64, error) {
		total := int64(0)
		err := b.rows(parts, func(row []float32) error {
			written, err := writeAs(w, elements[precision], row)
			total += written
			return err
		})
		return total, err
	})
	return g.External(key, elements[precision], place, n, parts[0].Shape[1])
}
