package bundle

import (
	"errors"
	"fmt"
	"strings"
)

// element types of the contract, by TensorProto.DataType.
const (
	elemFloat    = 1
	elemInt32    = 6
	elemInt64    = 7
	elemFloat16  = 10
	elemBFloat16 = 16
)

var elemNames = map[int64]string{
	0: "no tensor", elemFloat: "float32", elemInt32: "int32", elemInt64: "int64", elemFloat16: "float16", elemBFloat16: "bfloat16",
	2: "uint8", 3: "int8", 9: "bool", 11: "float64",
}

// port is an input or output that the contract names. A dimension of −1 must be dynamic, of −2 may be anything, of −3
// may be fixed at 1.
type port struct {
	name     string
	elem     int64
	dims     []int64
	form     string // the shape in words
	why      string
	optional bool
}

const (
	dynamic      = -1
	anything     = -2
	dynamicOrOne = -3
)

// checkGraph compares a graph with what the manifest promises of it.
func checkGraph(raw []byte, g namedGraph, m *Manifest) error {
	info, err := readGraph(raw)
	if err != nil {
		return err
	}
	for _, e := range info.external {
		if err := e.check(m); err != nil {
			return err
		}
	}
	nodes := 0
	for _, n := range info.attention {
		nodes += n
	}
	switch {
	case m.Kind == KindDense && nodes > 0:
		return fmt.Errorf("it has %d PagedAttention nodes, but a dense bundle has no KV pages: set kind to paged", nodes)
	case m.Kind != KindDense && nodes != g.Layers:
		return fmt.Errorf("it has %d PagedAttention nodes, but %s.layers is %d: there must be one node per layer", nodes, g.stage, g.Layers)
	}
	if err := m.checkAttention(info.attention); err != nil {
		return err
	}
	inputs, outputs := m.contract(g)
	return errors.Join(
		compare("input", inputs, withoutDefaults(info)),
		compare("output", outputs, info.outputs),
	)
}

// withoutDefaults leaves out inputs that have an initializer of the same name: nobody needs to feed them.
func withoutDefaults(g *graphInfo) []tensorInfo {
	var needed []tensorInfo
	for _, v := range g.inputs {
		if !g.initializers[v.name] {
			needed = append(needed, v)
		}
	}
	return needed
}

// contract is the table of docs/bundle-format.md for one graph.
func (m *Manifest) contract(g namedGraph) (inputs, outputs []port) {
	if m.Kind == KindDense {
		return m.denseContract(g)
	}
	d, act := int64(m.HiddenSize), int64(elemFloat)
	switch m.Precision.Activations {
	case "f16":
		act = elemFloat16
	case "bf16":
		act = elemBFloat16
	}
	vector := func(name, why string, optional bool) port {
		return port{name, act, []int64{dynamic, d}, fmt.Sprintf("[rows, %d]", d), why, optional}
	}
	row := func(name string, elem int64, why string, optional bool) port {
		return port{name, elem, []int64{dynamic}, "[rows]", why, optional}
	}
	ids := func(optional bool) port { return row("input_ids", elemInt64, "the tokens", optional) }
	switch g.stage {
	case "prelude":
		inputs = append(inputs, ids(false))
		if m.State.Kind == "prelude" {
			outputs = append(outputs, vector("hidden", "the state before the first loop (state.kind is prelude)", false))
		}
		if m.Inject {
			outputs = append(outputs, vector("inject", "what every loop reads (inject is true)", false))
		}
	case "block":
		inputs = append(inputs, vector("hidden", "the state that the last loop left", false))
		if m.Inject {
			inputs = append(inputs, vector("inject", "what the prelude injects (inject is true)", false))
		}
		inputs = append(inputs, ids(true), row("depth", elemInt64, "the loops done before", true))
		outputs = append(outputs, vector("hidden_out", "the state after this loop", false),
			row("delta", elemFloat, "the relative change of the state, for exit policies", false))
		if m.Gate != nil {
			outputs = append(outputs, row("gate", elemFloat, "the exit gate's logit (the manifest has a gate)", false))
		}
	case "coda":
		inputs = append(inputs, vector("hidden", "the state after the last loop", false),
			port{"logit_rows", elemInt64, []int64{dynamic}, "[m]", "the rows of which logits are wanted", false}, ids(true))
		outputs = append(outputs, port{"logits", elemFloat, []int64{dynamic, int64(m.VocabSize)}, fmt.Sprintf("[m, %d]", m.VocabSize), "what is sampled from", false},
			port{"final_hidden", elemFloat, []int64{dynamic, d}, fmt.Sprintf("[m, %d]", d), "what the head is applied to", true})
	}
	if g.Layers > 0 {
		more, caches := m.paging(act)
		inputs, outputs = append(inputs, more...), append(outputs, caches...)
	}
	return inputs, outputs
}

// paging are the inputs of a graph with attention; CUDA's operator gives the caches back as outputs.
func (m *Manifest) paging(act int64) (inputs, outputs []port) {
	heads, dim := int64(m.Attention.KVHeads), int64(m.Attention.HeadDim)
	for _, name := range []string{"key_cache", "value_cache"} {
		p := port{name, act, []int64{dynamic, anything, heads, dim}, fmt.Sprintf("[pages, page_size, %d, %d]", heads, dim), "the KV pages", false}
		inputs = append(inputs, p)
		p.name, p.optional, p.dims = name+"_out", true, []int64{anything, anything, heads, dim}
		outputs = append(outputs, p)
	}
	return append(inputs,
		port{"cumulative_sequence_length", elemInt32, []int64{dynamic}, "[spans+1]", "where each span's rows begin", false},
		port{"past_seqlens", elemInt32, []int64{dynamic}, "[spans]", "the tokens in the cache before each span", false},
		port{"block_table", elemInt32, []int64{dynamic, dynamic}, "[spans, max_pages]", "the page table", false}), outputs
}

// compare reports every difference at once: who makes a graph by hand wants the whole list.
func compare(what string, want []port, have []tensorInfo) error {
	var errs []error
	byName := map[string]tensorInfo{}
	for _, v := range have {
		byName[v.name] = v
	}
	unknown := unknownPorts(want, have)
	for _, p := range want {
		v, ok := byName[p.name]
		switch {
		case !ok && !p.optional:
			var problem *Problem
			problem, unknown = p.missing(what, unknown)
			errs = append(errs, problem)
		case ok:
			if why := p.differs(v); why != "" {
				errs = append(errs, &Problem{fmt.Sprintf("the %s %s %s", what, p.name, why), p.want(), p.remedy(what, v)})
			}
		}
	}
	for _, v := range unknown {
		if what == "input" {
			errs = append(errs, &Problem{
				fmt.Sprintf("the input %s is not one of the contract's: nothing would feed it", v.name), "",
				"rename it or make it a constant of the graph (docs/bundle-format.md)",
			})
		}
	}
	return errors.Join(errs...)
}

func (p port) differs(v tensorInfo) string {
	if v.elem != p.elem {
		name, ok := elemNames[v.elem]
		if !ok {
			name = fmt.Sprintf("ONNX type %d", v.elem)
		}
		return "is " + name
	}
	if !v.ranked || len(v.dims) != len(p.dims) {
		return fmt.Sprintf("has %d dimensions", len(v.dims))
	}
	for i, want := range p.dims {
		got := v.dims[i]
		switch {
		case want == anything || got == want || want == dynamicOrOne && (got == dynamic || got == 1):
		case want == dynamic || want == dynamicOrOne:
			return fmt.Sprintf("has dimension %d fixed at %d, and it must be dynamic", i, got)
		case got != dynamic: // a dynamic axis where the size is known is checked by the runtime
			return "has the shape " + strings.ReplaceAll(fmt.Sprint(v.dims), "-1", "?")
		}
	}
	return ""
}
