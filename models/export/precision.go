package export

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/internal/float16"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// Precisions of Options.
const (
	F32  = "f32"
	F16  = "f16"
	BF16 = "bf16"
	Int8 = "int8"
	Int4 = "int4"
	// Keep takes over the 4- and 8-bit numbers that a GGUF file has, where the packed layout holds them as they are; all others
	// become int8.
	Keep = "keep"
)

// elements are the float precisions as ONNX types, quantBits the bits of the others, which are 8 at Keep unless the checkpoint
// has others; packBits are those of packed weights.
var (
	elements  = map[string]onnx.Type{F32: onnx.Float, F16: onnx.Float16, BF16: onnx.BFloat16}
	quantBits = map[string]int{Int8: 8, Int4: 4, Keep: 8}
	packBits  = map[string]int{F32: 32, BF16: 16, Int8: 8, Int4: 4, Keep: 8}
)

// Settle fills in the precisions that are not chosen, and refuses what doesn't go together.
func (o *Options) Settle() error {
	o.DType = cmp.Or(o.DType, F32)
	if o.Weights == Keep {
		o.Embedding = cmp.Or(o.Embedding, Keep)
	}
	o.Weights, o.Embedding = cmp.Or(o.Weights, o.DType), cmp.Or(o.Embedding, o.DType)
	if o.Weights == Int4 {
		o.Head = cmp.Or(o.Head, Int8) // four bits there cost more than in all layers together
	}
	o.Head, o.State = cmp.Or(o.Head, o.Weights), cmp.Or(o.State, StateZeros)
	weights, embeddings := []string{F32, BF16, Int8, Int4, Keep}, []string{F32, F16, BF16, Int8, Int4, Keep}
	heads := weights
	where := "with f32 activations, on the CPU,"
	if o.DType == F16 || o.DType == BF16 {
		weights, embeddings, heads = []string{o.DType}, []string{o.DType}, []string{o.DType, F32}
		where = "with " + o.DType + " activations, on CUDA,"
	}
	for _, c := range []struct {
		flag, v, why string
		of           []string
	}{
		{"dtype", o.DType, "", []string{F32, F16, BF16}},
		{"weights", o.Weights, where, weights},
		{"embedding", o.Embedding, where, embeddings},
		{"head", o.Head, where, heads},
		{"state", o.State, "", []string{StateZeros, StateNormal}},
	} {
		if !slices.Contains(c.of, c.v) {
			return fmt.Errorf("%s is %q: %s must be %s", c.flag, c.v, c.why, strings.Join(c.of, ", "))
		}
	}
	return o.settleLoop()
}

// precision is what the manifest calls the numbers: those of Keep are int4 where any has 4 bits, else int8.
func (o *Options) precision(ckpt *safetensors.Checkpoint) bundle.Precision {
	head, layers := Int8, Int8
	for _, name := range ckpt.Names() {
		if t := ckpt.Tensor(name); t.Blocks != nil && t.Blocks.Bits == 4 {
			if name == untied || name == embedding && ckpt.Tensor(untied) == nil {
				head = Int4
			} else if name != embedding {
				layers = Int4
			}
		}
	}
	told := func(precision, kept string) string {
		if precision == Keep {
			return kept
		}
		return precision
	}
	return bundle.Precision{
		Activations: o.DType, Weights: told(o.Weights, layers), Embedding: told(o.Embedding, Int8), Head: told(o.Head, head),
	}
}

// cast appends a change of type.
func cast(g *onnx.Graph, x string, to onnx.Type) string {
	return g.Node("", "Cast", []string{x}, onnx.Attr{Name: "to", V: int(to)})
}

// up gives activations as float32, for what must not lose bits; down gives float32 as activations.
func (b *builder) up(g *onnx.Graph, x string) string {
	if b.act == onnx.Float {
		return x
	}
	b.flush(g)
	return cast(g, x, onnx.Float)
}

func (b *builder) down(g *onnx.Graph, x string) string {
	if b.act == onnx.Float {
		return x
	}
	return cast(g, x, b.act)
}

// take declares an input of activations and gives what stands for it inside the graph.
func (b *builder) take(g *onnx.Graph, name string, dims ...onnx.Dim) string {
	g.Input(name, b.port, dims...)
	if b.port != b.act {
		g.NodeTo("", "Cast", []string{name}, []string{b.inner(name)}, onnx.Attr{Name: "to", V: int(b.act)})
	}
	return b.inner(name)
}

// emit declares an output of activations, made by a node before under its inner name.
func (b *builder) emit(g *onnx.Graph, name string, dims ...onnx.Dim) {
	if b.port != b.act {
		g.NodeTo("", "Cast", []string{b.inner(name)}, []string{name}, onnx.Attr{Name: "to", V: int(b.port)})
	}
	g.Output(name, b.port, dims...)
}

// inner is what an input or output of activations is called inside the graph.
func (b *builder) inner(name string) string {
	if b.port == b.act {
		return name
	}
	return name + "_inner"
}

// writeAs writes values rounded to a float type. One that the type has no room for is an error: it would be infinite.
func writeAs(w io.Writer, t onnx.Type, values []float32) error {
	round, infinite, name := float16.Of, uint16(0x7c00), "float16, whose largest is 65504: export with --dtype bf16"
	if t == onnx.BFloat16 {
		round, infinite, name = float16.Brain, 0x7f80, "bfloat16"
	}
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("a weight is %v: the checkpoint is damaged", v)
		}
		if t == onnx.Float {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			continue
		}
		h := round(v)
		if h&infinite == infinite {
			return fmt.Errorf("a weight is %v, which does not fit %s", v, name)
		}
		raw = binary.LittleEndian.AppendUint16(raw, h)
	}
	_, err := w.Write(raw)
	return err
}
