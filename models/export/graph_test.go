package export_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/models/protofield"
)

// graph is an ONNX file as far as types go.
type graph struct {
	nodes                         []node
	initializers, inputs, outputs map[string]onnx.Type
}

type node struct {
	domain, op      string
	inputs, outputs []string
	attrs           map[string]int64 // the whole-number ones; 0 for others
	raw             []byte
}

// each calls visit for every field of a message.
func each(t testing.TB, message []byte, visit func(f protofield.Field)) {
	t.Helper()
	if err := protofield.Each(message, func(f protofield.Field) error {
		visit(f)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func parse(t testing.TB, model []byte) *graph {
	t.Helper()
	g := &graph{initializers: map[string]onnx.Type{}, inputs: map[string]onnx.Type{}, outputs: map[string]onnx.Type{}}
	each(t, model, func(f protofield.Field) {
		if f.Tag != 7 {
			return
		}
		each(t, f.Bytes, func(f protofield.Field) {
			switch f.Tag {
			case 1:
				g.nodes = append(g.nodes, parseNode(t, f.Bytes))
			case 5:
				var name string
				var elem onnx.Type
				each(t, f.Bytes, func(f protofield.Field) {
					switch f.Tag {
					case 2:
						elem = onnx.Type(f.Number)
					case 8:
						name = string(f.Bytes)
					}
				})
				g.initializers[name] = elem
			case 11:
				parseValue(t, f.Bytes, g.inputs)
			case 12:
				parseValue(t, f.Bytes, g.outputs)
			}
		})
	})
	return g
}

func parseNode(t testing.TB, raw []byte) node {
	n := node{attrs: map[string]int64{}, raw: raw}
	each(t, raw, func(f protofield.Field) {
		switch f.Tag {
		case 1:
			n.inputs = append(n.inputs, string(f.Bytes))
		case 2:
			n.outputs = append(n.outputs, string(f.Bytes))
		case 4:
			n.op = string(f.Bytes)
		case 5:
			var name string
			var value int64
			each(t, f.Bytes, func(f protofield.Field) {
				switch f.Tag {
				case 1:
					name = string(f.Bytes)
				case 3:
					value = int64(f.Number)
				}
			})
			n.attrs[name] = value
		case 7:
			n.domain = string(f.Bytes)
		}
	})
	return n
}

func parseValue(t testing.TB, raw []byte, into map[string]onnx.Type) {
	var name string
	each(t, raw, func(f protofield.Field) {
		switch f.Tag {
		case 1:
			name = string(f.Bytes)
		case 2:
			each(t, f.Bytes, func(f protofield.Field) {
				each(t, f.Bytes, func(f protofield.Field) {
					if f.Tag == 1 {
						into[name] = onnx.Type(f.Number)
					}
				})
			})
		}
	})
}

// operator says how an operator types its values: same has the inputs that share the type of input 0 (all: every one),
// which is also the output's; ints the inputs that are whole numbers.
type operator struct {
	same   []int
	all    bool
	ints   []int
	attrs  []string    // that com.microsoft's operator knows; others are ONNX's own, which the runtime checks
	most   int         // inputs
	kernel []onnx.Type // that CUDA has a kernel for, by the type of input 0
}

var (
	halves = []onnx.Type{onnx.Float16, onnx.BFloat16}
	floats = []onnx.Type{onnx.Float, onnx.Float16, onnx.BFloat16}
	number = []onnx.Type{onnx.Float, onnx.Float16, onnx.BFloat16, onnx.Int32}
	single = []onnx.Type{onnx.Float}
)

// operators that 16-bit bundles use. Input counts and attributes of PagedAttention are those of ONNX Runtime 1.32's
// schema, kernels those that the CUDA provider of onnxruntime-gpu 1.31 has.
var operators = map[string]operator{
	"Add": {all: true, most: 2, kernel: number}, "Mul": {all: true, most: 2, kernel: number}, "Sub": {all: true, most: 2, kernel: number},
	"Div": {all: true, most: 2, kernel: number}, "Max": {all: true, most: 2, kernel: single}, "Relu": {all: true, most: 1, kernel: floats},
	"Sigmoid": {all: true, most: 1, kernel: floats}, "Identity": {all: true, most: 1, kernel: floats}, "Concat": {all: true, most: 2, kernel: floats},
	"Gemm": {all: true, most: 2, kernel: floats}, "Cast": {most: 1, kernel: floats},
	"Split": {ints: []int{1}, most: 2, kernel: floats}, "Slice": {ints: []int{1, 2, 3}, most: 4, kernel: floats},
	"Unsqueeze": {ints: []int{1}, most: 2, kernel: append(slices.Clone(floats), onnx.Int64)}, "Reshape": {ints: []int{1}, most: 2, kernel: floats},
	"ReduceL2": {ints: []int{1}, most: 2, kernel: single}, "Gather": {ints: []int{1}, most: 2, kernel: floats},
	"SimplifiedLayerNormalization": {all: true, most: 2, kernel: single}, // float32 alone, by our own rule
	"Cos":                          {all: true, most: 1, kernel: single}, "Sin": {all: true, most: 1, kernel: single},
	"Gelu":                          {all: true, most: 1, kernel: single},
	"com.microsoft.RotaryEmbedding": {same: []int{0, 2, 3}, ints: []int{1}, most: 4, kernel: floats},
	"com.microsoft.QuickGelu":       {all: true, most: 1, kernel: floats, attrs: []string{"alpha"}},
	"com.microsoft.PagedAttention": {
		same: []int{0, 1, 2, 3, 4, 8, 9, 12, 13}, ints: []int{5, 6, 7, 10}, most: 17, kernel: halves,
		attrs: []string{
			"num_heads", "kv_num_heads", "scale", "softcap", "local_window_size", "do_rotary", "rotary_interleaved",
			"qk_norm_epsilon", "is_causal", "rotary_offset", "v_head_size", "kv_cache_layout", "k_quant_type", "v_quant_type",
			"k_cache_dtype", "v_cache_dtype",
		},
	},
}

// infer gives every value its type, and what contradicts itself or has no kernel on CUDA.
func (g *graph) infer() (map[string]onnx.Type, []error) {
	types := map[string]onnx.Type{}
	var errs []error
	for _, of := range []map[string]onnx.Type{g.initializers, g.inputs} {
		for name, elem := range of {
			types[name] = elem
		}
	}
	for _, n := range g.nodes {
		op := n.op
		if n.domain != "" {
			op = n.domain + "." + n.op
		}
		fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(op+": "+format, args...)) }
		rule, ok := operators[op]
		if !ok {
			fail("not in the table of operators with a kernel on CUDA")
			continue
		}
		if len(n.inputs) > rule.most {
			fail("%d inputs, at most %d", len(n.inputs), rule.most)
		}
		t := types[n.inputs[0]]
		for i, in := range n.inputs {
			have, ok := types[in]
			switch {
			case in == "":
			case !ok:
				fail("input %d, %s, is made by no node before it", i, in)
			case slices.Contains(rule.ints, i):
				if have != onnx.Int64 && have != onnx.Int32 {
					fail("input %d, %s, has type %d: wants whole numbers", i, in, have)
				}
			case (rule.all || slices.Contains(rule.same, i)) && have != t:
				fail("input %d, %s, has type %d, and input 0 has %d", i, in, have, t)
			}
		}
		if !slices.Contains(rule.kernel, t) {
			fail("no kernel for type %d", t)
		}
		for name := range n.attrs {
			if rule.attrs != nil && !slices.Contains(rule.attrs, name) {
				fail("no attribute %s", name)
			}
		}
		if n.op == "Cast" {
			t = onnx.Type(n.attrs["to"])
		}
		for _, out := range n.outputs {
			types[out] = t
		}
	}
	for name, want := range g.outputs {
		if types[name] != want {
			errs = append(errs, fmt.Errorf("output %s has type %d, declared %d", name, types[name], want))
		}
	}
	return types, errs
}
