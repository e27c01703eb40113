package export

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/internal/float16"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// sum is an addition that is not in the graph yet: a norm that follows takes it into its own node.
type sum struct{ x, branch, output string }

// add appends x + branch. The node is written by the norm that reads it (in one with it), or by flush.
func (b *builder) add(g *onnx.Graph, x, branch string) string {
	b.flush(g)
	b.pending = &sum{x, branch, g.Name("Add")}
	return b.pending.output
}

// flush writes an addition that no norm has taken.
func (b *builder) flush(g *onnx.Graph) {
	if s := b.pending; s != nil {
		g.NodeTo("", "Add", []string{s.x, s.branch}, []string{s.output})
		b.pending = nil
	}
}

// norm appends x·rsqrt(mean x² + eps)·gain, together with the addition that makes x where that has just been added.
// With 16-bit activations it is float32 between two casts: the runtime's node for both sums the squares of float16 in
// float16, and the casts also keep its optimizer from making that node.
func (b *builder) norm(g *onnx.Graph, x string, gain *safetensors.Tensor) string {
	return b.normBy(g, x, b.vector(g, gain), b.eps)
}

// gainless is norm without a gain, of rows of a width.
func (b *builder) gainless(g *onnx.Graph, x string, width int) string {
	return b.normBy(g, x, b.constant(g, width, 1), b.eps)
}

// normBy is norm with an initializer as gain, and an epsilon of its own.
func (b *builder) normBy(g *onnx.Graph, x, gain string, epsilon float64) string {
	eps := onnx.Attr{Name: "epsilon", V: epsilon}
	if s := b.pending; s != nil && s.output == x && b.act == onnx.Float {
		b.pending = nil
		out := g.Name("SkipSimplifiedLayerNormalization")
		g.NodeTo(onnx.Microsoft, "SkipSimplifiedLayerNormalization", []string{s.x, s.branch, gain},
			[]string{out, "", "", s.output}, eps)
		return out
	}
	b.flush(g)
	return b.down(g, g.Node("", "SimplifiedLayerNormalization", []string{b.up(g, x), gain},
		onnx.Attr{Name: "axis", V: -1}, eps, onnx.Attr{Name: "stash_type", V: 1}))
}

// constant is a float32 vector of one number: the gain of a norm that has none is 1.
func (b *builder) constant(g *onnx.Graph, width int, v float32) string {
	return b.floats(g, fmt.Sprintf("constant_%d_%g", width, v), slices.Repeat([]float32{v}, width), int64(width))
}

// vector is a one-dimensional float32 initializer.
func (b *builder) vector(g *onnx.Graph, t *safetensors.Tensor) string {
	return b.numbers(g, onnx.Float, t.Name, b.values(t), t.Len())
}

// values are all numbers of a small tensor; zeros after an error.
func (b *builder) values(t *safetensors.Tensor) []float32 {
	out := make([]float32, t.Len())
	if b.err == nil {
		b.err = t.Read(out, 0)
	}
	return out
}

// relativeChange appends delta = ‖h′−h‖/‖h′‖ for each row. The floor keeps a zero state from dividing by zero.
func (b *builder) relativeChange(g *onnx.Graph, before, after string) {
	g.Output("delta", onnx.Float, onnx.Dynamic("rows"))
	if b.act == onnx.Float && !b.opt.Unfused {
		g.NodeTo("loopserve", "RelativeChange", []string{before, after}, []string{"delta"})
		return
	}
	axes := g.Ints("delta_axes", []int64{-1}, 1)
	floor := g.Floats("delta_floor", []float32{1e-30})
	keep := onnx.Attr{Name: "keepdims", V: 0}
	before, after = b.up(g, before), b.up(g, after)
	change := g.Node("", "ReduceL2", []string{g.Node("", "Sub", []string{after, before}), axes}, keep)
	size := g.Node("", "Max", []string{g.Node("", "ReduceL2", []string{after, axes}, keep), floor})
	g.NodeTo("", "Div", []string{change, size}, []string{"delta"})
}

// linear appends y = x·Wᵀ, where W [n, k] is the stored matrices stacked on each other: on the CPU by
// loopserve.PackedLinear, on CUDA by Gemm with the weights as they are laid out, x and y of their type.
func (b *builder) linear(g *onnx.Graph, x string, weights string, parts ...*safetensors.Tensor) string {
	b.flush(g)
	if b.packs(weights) {
		return b.packedLinear(g, x, weights, activationNone, parts)
	}
	return g.Node("", "Gemm", []string{x, b.matrix(g, weights, parts...)}, onnx.Attr{Name: "transB", V: 1})
}

// packs reports whether weights are multiplied by loopserve.PackedLinear: not on CUDA, and not float32 that is to be compared
// with ONNX's own product.
func (b *builder) packs(weights string) bool {
	return b.act == onnx.Float && packBits[weights] != 0 && (weights != F32 || !b.opt.Unfused)
}

// What loopserve.PackedLinear does with its columns: its attribute activation.
const (
	activationNone = iota
	activationSwiGLU
)

// packedLinear appends a product with packed weights. With activationSwiGLU the first half of the columns is the gate.
func (b *builder) packedLinear(g *onnx.Graph, x, weights string, act int, parts []*safetensors.Tensor) string {
	bits, kept := packBits[weights], weights == Keep && sameBlocks(parts)
	if kept {
		bits = parts[0].Blocks.Bits
	}
	key, n := stacked(parts)
	key += fmt.Sprintf("/packed%d", bits)
	if act == activationSwiGLU {
		key += "/swiglu"
	}
	k := parts[0].Shape[1]
	p, scaleBits := packer{bits: bits, unit: 1}, 16
	if bits < 16 {
		switch most := b.largest(key, parts); {
		case kept: // scales and minima stay the float16 that they are
		case bits == 4:
			p.bytes, scaleBits = true, 8
		default:
			p = eightBits(most)
		}
	}
	place := b.put(key, func(w io.Writer) error { return b.pack(w, p, act, parts, kept) })
	inputs := make([]string, linearInputs)
	inputs[linearX], inputs[linearWeights] = x, g.External(key, onnx.Uint8, place, place.Length)
	return g.Node(onnx.Loopserve, packedLinear, inputs,
		onnx.Attr{Name: "K", V: int(k)}, onnx.Attr{Name: "N", V: int(n)}, onnx.Attr{Name: "bits", V: bits},
		onnx.Attr{Name: "scale_bits", V: scaleBits}, onnx.Attr{Name: "activation", V: act}, onnx.Attr{Name: "weight_scale", V: float64(p.unit)})
}

// sameBlocks reports whether the parts have numbers of few bits that the packed layout holds as they are.
func sameBlocks(parts []*safetensors.Tensor) bool {
	for _, t := range parts {
		if t.Blocks == nil || t.Blocks.Bits != parts[0].Blocks.Bits {
			return false
		}
	}
	return true
}

// largest is the largest absolute value of the parts. It refuses what is not a number.
func (b *builder) largest(key string, parts []*safetensors.Tensor) float32 {
	most, known := b.most[key]
	if known {
		return most
	}
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
	b.most[key] = most
	return most
}

// pack writes the parts' rows, the product's columns, in groups. With activationSwiGLU groups of both halves take turns.
func (b *builder) pack(w io.Writer, p packer, act int, parts []*safetensors.Tensor, kept bool) error {
	_, n := stacked(parts)
	width, turns := n, int64(1)
	if act == activationSwiGLU {
		width, turns = n/2, 2
	}
	k := parts[0].Shape[1]
	memory := make([]column, groupColumns)
	for c := range memory {
		memory[c] = newColumn(k, kept)
	}
	for from := int64(0); from < width; from += groupColumns {
		for turn := range turns {
			columns := memory[:min(groupColumns, width-from)]
			for c := range columns {
				if err := b.stackedRow(parts, turn*width+from+int64(c), &columns[c]); err != nil {
					return err
				}
			}
			if err := p.group(w, columns); err != nil {
				return err
			}
		}
	}
	return nil
}

// stackedRow reads row r of the matrices that are stacked on each other: its codes where the column has room for them.
func (b *builder) stackedRow(parts []*safetensors.Tensor, r int64, to *column) error {
	for _, t := range parts {
		if r < t.Shape[0] {
			var err error
			if to.codes != nil {
				err = t.Blocks.Row(r, to.codes, to.scales, to.minima)
			} else {
				err = t.Read(to.values, r*t.Shape[1])
			}
			if err != nil {
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

// quantized writes the codes and scales of a table's rows, or takes over those of 8 bits that it has.
func (b *builder) quantized(q quantizer, t *safetensors.Tensor) (codes, scale onnx.Extent) {
	n, k := t.Shape[0], t.Shape[1]
	row := newColumn(k, b.opt.Embedding == Keep && t.Blocks != nil && t.Blocks.Bits == 8)
	scales := make([]float32, 0, n*blocksOf(k))
	codes = b.put(fmt.Sprintf("%s/q%d", t.Name, q.bits), func(w io.Writer) error {
		for r := range n {
			err := b.stackedRow([]*safetensors.Tensor{t}, r, &row)
			if err == nil && row.codes == nil {
				err = q.row(w, row.values, &scales)
			} else if err == nil {
				for _, s := range row.scales {
					scales = append(scales, float16.Widen(s))
				}
				_, err = w.Write(row.codes)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	scale = b.put(fmt.Sprintf("%s/s%d", t.Name, q.bits), func(w io.Writer) error { return writeAs(w, onnx.Float, scales) })
	return codes, scale
}

// put writes a tensor's bytes, and keeps the first error: graphs are built straight through, and the error is looked
// at once a stage is complete.
func (b *builder) put(key string, fill func(w io.Writer) error) onnx.Extent {
	if b.err == nil {
		b.err = b.ctx.Err()
	}
	if b.err != nil {
		return onnx.Extent{File: b.data.name}
	}
	p, err := b.data.write(key, fill)
	if err != nil {
		b.err = fmt.Errorf("write %s: %w", key, err)
	}
	return p
}

// gather appends the rows of the table that the ids name, as activations. The table is stored in the embedding's
// precision: float, or 8 or 4 bits with a scale for each block of a row.
func (b *builder) gather(g *onnx.Graph, ids string, table *safetensors.Tensor) string {
	switch b.opt.Embedding {
	case Int8, Int4, Keep:
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
		b.fail("tensor %q has rows of %d numbers, which do not fill whole bytes at %d bits each: choose --embedding f32, bf16 or int8", table.Name, k, bits)
	}
	data, scale := b.quantized(quantizer{bits}, table)
	return g.Node(onnx.Microsoft, "GatherBlockQuantized", []string{
		g.External(table.Name+".rows", onnx.Uint8, data, n, k*int64(bits)/8),
		ids,
		g.External(table.Name+".row_scales", onnx.Float, scale, n, blocksOf(k)),
	}, onnx.Attr{Name: "bits", V: bits}, onnx.Attr{Name: "block_size", V: blockSize},
		onnx.Attr{Name: "gather_axis", V: 0}, onnx.Attr{Name: "quantize_axis", V: 1})
}

// logits appends the head on h, and the output logits, which are float32: computed in the head's precision, and
// widened where that is less.
func (b *builder) logits(g *onnx.Graph, h string, head *safetensors.Tensor, scale string) {
	x := h
	if b.opt.Head == F32 {
		x = b.up(g, h)
	}
	y := b.linear(g, x, b.opt.Head, head)
	if b.opt.Head == F16 || b.opt.Head == BF16 {
		y = b.up(g, y)
	}
	if scale != "" {
		y = g.Node("", "Mul", []string{y, scale})
	}
	g.NodeTo("", "Identity", []string{y}, []string{"logits"})
}

// matrix is a stored matrix, or several on top of each other, as an initializer [n, k] of a float type.
func (b *builder) matrix(g *onnx.Graph, precision string, parts ...*safetensors.Tensor) string {
	key, n := stacked(parts)
	if precision != F32 {
		key += "/" + precision
	}
	place := b.put(key, func(w io.Writer) error {
		return b.rows(parts, func(row []float32) error { return writeAs(w, elements[precision], row) })
	})
	return g.External(key, elements[precision], place, n, parts[0].Shape[1])
}

// split cuts rows into n equal parts.
func split(g *onnx.Graph, x string, n int) []string {
	return g.NodeN("", "Split", []string{x}, n, onnx.Attr{Name: "axis", V: 1}, onnx.Attr{Name: "num_outputs", V: n})
}

// asColumn is an input [rows] as [rows, 1].
func asColumn(g *onnx.Graph, name string, t onnx.Type) string {
	return g.Node("", "Unsqueeze", []string{g.Input(name, t, onnx.Dynamic("rows")), g.Ints("axis_1", []int64{1}, 1)})
}
