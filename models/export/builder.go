package export

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// builder is what a family builds its graphs with.
type builder struct {
	opt  Options
	ckpt *safetensors.Checkpoint
	data *dataFile
	used map[string]bool    // tensors that the family asked for
	most map[string]float32 // the largest values that largest has found
	ctx  context.Context    //nolint:containedctx // one export's, looked at before each tensor
	err  error              // the first one

	act  onnx.Type // of activations inside the graphs
	port onnx.Type // of hidden, inject, final_hidden and the caches: act, but for a graph that emulates CUDA's

	progress progress

	eps     float64 // of every RMSNorm
	pending *sum    // an addition that the next norm may take into its node
}

// tensor returns a stored tensor of exactly this shape. What is missing or has another shape is the builder's error,
// by name, and an empty tensor of the wanted shape stands in so that building goes on to its end.
func (b *builder) tensor(name string, shape ...int) *safetensors.Tensor {
	want := make([]int64, len(shape))
	for i, d := range shape {
		want[i] = int64(d)
	}
	b.used[name] = true
	t := b.ckpt.Tensor(name)
	if t == nil {
		b.fail("tensor %q is missing", name)
	} else if !slices.Equal(t.Shape, want) {
		b.fail("tensor %q has shape %v, but the config asks for %v", name, t.Shape, want)
	} else {
		return t
	}
	return &safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: want}
}

// weights gives the tensors prefix.NAME.weight.
func (b *builder) weights(prefix string) func(name string, shape ...int) *safetensors.Tensor {
	return func(name string, shape ...int) *safetensors.Tensor {
		return b.tensor(prefix+"."+name+".weight", shape...)
	}
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

// leftover refuses tensors that no graph uses: a layer more than the config says, or math that is not understood.
// Names with one of the ignorable endings are recomputed anyway.
func (b *builder) leftover(ignorable ...string) {
	for _, name := range b.ckpt.Names() {
		if !b.used[name] && !slices.ContainsFunc(ignorable, func(s string) bool { return strings.HasSuffix(name, s) }) {
			b.fail("the checkpoint holds tensor %q, which nothing in the config uses", name)
		}
	}
}
