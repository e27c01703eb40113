package bundle

import (
	"fmt"
	"slices"
)

// value is an input or output as the contract states it, or as a graph declares it. A dim of −1 is dynamic.
type value struct {
	name string
	kind int64 // TensorProto.DataType
	dims []int64
}

// TensorProto.DataType
const (
	typeFloat    = 1
	typeInt32    = 6
	typeInt64    = 7
	typeFloat16  = 10
	typeBFloat16 = 16
)

func (m *Manifest) float() int64 {
	switch m.Precision.Activations {
	case "f16":
		return typeFloat16
	case "bf16":
		return typeBFloat16
	}
	return typeFloat
}

// contract gives a stage's inputs and outputs: those that must be there, and those that may.
func (m *Manifest) contract(g namedGraph) (in, out, may []value) {
	f, d, rows := m.float(), int64(m.HiddenSize), int64(-1)
	ids := value{"input_ids", typeInt64, []int64{rows}}
	hidden, inject := value{"hidden", f, []int64{rows, d}}, value{"inject", f, []int64{rows, d}}
	switch g.stage {
	case "prelude":
		in = []value{ids}
		if m.State.Kind == "prelude" {
			out = append(out, hidden)
		}
		if m.Inject {
			out = append(out, inject)
		}
	case "block":
		in = []value{hidden}
		if m.Inject {
			in = append(in, inject)
		}
		out = []value{{"hidden_out", f, []int64{rows, d}}, {"delta", typeFloat, []int64{rows}}}
		if m.Gate != nil {
			out = append(out, value{"gate", typeFloat, []int64{rows}})
		}
		may = []value{ids, {"depth", typeInt64, []int64{rows}}}
	case "coda":
		in = []value{hidden, {"logit_rows", typeInt64, []int64{-1}}}
		out = []value{{"logits", typeFloat, []int64{-1, int64(m.VocabSize)}}}
		may = []value{{"final_hidden", f, []int64{-1, d}}}
	}
	if g.Layers > 0 {
		cache := []int64{-1, -1, int64(m.Attention.KVHeads), int64(m.Attention.HeadDim)}
		in = append(in, value{"key_cache", f, cache}, value{"value_cache", f, cache},
			value{"cumulative_sequence_length", typeInt32, []int64{-1}}, value{"past_seqlens", typeInt32, []int64{-1}},
			value{"block_table", typeInt32, []int64{-1, -1}})
		may = append(may, value{"key_cache_out", f, cache}, value{"value_cache_out", f, cache})
	}
	return in, out, may
}

var typeNames = map[int64]string{typeFloat: "float32", typeInt32: "int32", typeInt64: "int64", typeFloat16: "float16", typeBFloat16: "bfloat16"}

func typeName(t int64) string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("element type %d", t)
}

// compare says in plain words how a graph's declarations differ from the contract.
func compare(what string, got, must, may []value) error {
	for _, w := range must {
		i := slices.IndexFunc(got, func(v value) bool { return v.name == w.name })
		if i < 0 {
			return fmt.Errorf("it has no %s %q: it must be %s of shape %s", what, w.name, typeName(w.kind), shape(w.dims))
		}
		if err := agree(what, got[i], w); err != nil {
			return err
		}
	}
	for _, g := range got {
		same := func(v value) bool { return v.name == g.name }
		if i := slices.IndexFunc(may, same); i >= 0 {
			if err := agree(what, g, may[i]); err != nil {
				return err
			}
		} else if !slices.ContainsFunc(must, same) {
			return fmt.Errorf("it has an %s %q, which the contract does not know", what, g.name)
		}
	}
	return nil
}

func agree(what string, got, want value) error {
	ok := got.kind == want.kind && len(got.dims) == len(want.dims)
	for i := 0; ok && i < len(want.dims); i++ {
		ok = got.dims[i] == want.dims[i] || want.dims[i] == -1 && got.dims[i] == -1
	}
	if !ok {
		return fmt.Errorf("its %s %q is %s of shape %s: it must be %s of shape %s (? is a dynamic axis)",
			what, got.name, typeName(got.kind), shape(got.dims), typeName(want.kind), shape(want.dims))
	}
	return nil
}

func shape(dims []int64) string {
	s := "["
	for i, d := range dims {
		if i > 0 {
			s += ", "
		}
		if d < 0 {
			s += "?"
		} else {
			s += fmt.Sprint(d)
		}
	}
	return s + "]"
}
