package bundle

import (
	"errors"
	"fmt"
	"slices"
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
func checkGraph(raw []byte, g namedGraph, m *Manifest) (*ONNX, error) {
	info, err := ReadONNX(raw)
	if err != nil {
		return nil, err
	}
	for _, e := range info.external {
		if err := e.check(m); err != nil {
			return nil, err
		}
	}
	nodes := 0
	for _, n := range info.attention {
		nodes += n
	}
	switch {
	case m.Kind == KindDense && nodes > 0:
		return nil, fmt.Errorf("it has %d PagedAttention nodes, but a dense bundle has no KV pages: set kind to paged", nodes)
	case m.Kind != KindDense && nodes != g.Layers:
		return nil, fmt.Errorf("it has %d PagedAttention nodes, but %s.layers is %d: there must be one node per layer", nodes, g.stage, g.Layers)
	}
	if err := m.checkAttention(info.attention); err != nil {
		return nil, err
	}
	if err := info.checkOurs(g.Layers, m); err != nil {
		return nil, err
	}
	inputs, outputs := m.contract(g)
	fed := slices.DeleteFunc(slices.Clone(info.inputs), func(v tensorInfo) bool { // nobody needs to feed the others
		_, stored := info.Initializers[v.name]
		return stored
	})
	return info, errors.Join(compare("input", inputs, fed), compare("output", outputs, info.outputs))
}

// contract is the table of docs/bundle-format.md for one graph. The kinds differ in what a row is: one of all that are
// packed, or a place in one of a batch's sequences.
func (m *Manifest) contract(g namedGraph) (inputs, outputs []port) {
	dense := m.Kind == KindDense
	act, rows, form := m.activations(), []int64{dynamic}, "rows"
	if dense {
		rows, form = []int64{dynamicOrOne, dynamic}, "batch, seq"
	}
	row := func(name string, elem int64, why string, optional bool) port {
		return port{name, elem, rows, "[" + form + "]", why, optional}
	}
	vector := func(name string, width int, why string) port {
		return port{name, act, append(slices.Clone(rows), int64(width)), fmt.Sprintf("[%s, %d]", form, width), why, false}
	}
	state := m.StateWidth()
	add := func(to *[]port, when bool, p port) {
		if when {
			*to = append(*to, p)
		}
	}
	switch g.stage {
	case "prelude":
		add(&inputs, true, row("input_ids", elemInt64, "the tokens", false))
		add(&outputs, m.State.Kind == "prelude", vector("hidden", state, "the state before the first loop (state.kind is prelude)"))
		add(&outputs, m.Inject, vector("inject", m.HiddenSize, "what every loop reads (inject is true)"))
	case "block":
		add(&inputs, true, vector("hidden", state, "the state that the last loop left"))
		add(&inputs, m.Inject, vector("inject", m.HiddenSize, "what the prelude injects (inject is true)"))
		add(&inputs, !dense, row("input_ids", elemInt64, "the tokens", true))
		depth := row("depth", elemInt64, "the loops done before", true)
		if dense {
			depth.dims, depth.form = []int64{dynamicOrOne}, "[batch]"
		}
		add(&inputs, true, depth)
		add(&inputs, m.Trajectory != nil, row("time", elemFloat, "the share of its way that a row has behind it", true))
		add(&inputs, m.Trajectory != nil, row("step", elemFloat, "the share that this loop goes", true))
		add(&outputs, true, vector("hidden_out", state, "the state after this loop"))
		add(&outputs, true, row("delta", elemFloat, "the relative change of the state, for exit policies", dense))
		add(&outputs, m.Gate != nil, row("gate", elemFloat, "the exit gate's logit (the manifest has a gate)", false))
	case "coda":
		add(&inputs, true, vector("hidden", state, "the state after the last loop"))
		if !dense { // logits are of chosen rows
			add(&inputs, true, port{"logit_rows", elemInt64, []int64{dynamic}, "[m]", "the rows of which logits are wanted", false})
			add(&inputs, true, row("input_ids", elemInt64, "the tokens", true))
			form = "m"
		}
		logits := func(name string, size int, why string, optional bool) port {
			return port{name, elemFloat, append(slices.Clone(rows), int64(size)), fmt.Sprintf("[%s, %d]", form, size), why, optional}
		}
		add(&outputs, true, logits("logits", m.VocabSize, "what is sampled from", false))
		add(&outputs, !dense, logits("final_hidden", m.HiddenSize, "what the head is applied to", true))
	}
	add(&inputs, true, row("position_ids", elemInt64, "each row's place in its sequence", true))
	switch {
	case dense:
		add(&inputs, true, row("attention_mask", elemInt64, "1 for a row, 0 for what only fills the batch up", true))
	case g.Layers > 0:
		add(&inputs, m.PrefixLM, port{"visible_seqlens", elemInt32, []int64{dynamic}, "[spans]", "how many keys a row sees at least (prefix_lm is true)", false})
		more, caches := m.paging(act)
		inputs, outputs = append(inputs, more...), append(outputs, caches...)
	}
	return inputs, outputs
}

// activations is the element type of precision.activations.
func (m *Manifest) activations() int64 {
	return map[string]int64{"f32": elemFloat, "f16": elemFloat16, "bf16": elemBFloat16}[m.Precision.Activations]
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
	unknown := slices.DeleteFunc(slices.Clone(have), func(v tensorInfo) bool {
		return slices.ContainsFunc(want, func(p port) bool { return p.name == v.name })
	})
	for _, p := range want {
		v, ok := byName[p.name]
		switch {
		case !ok && !p.optional:
			var problem *Problem
			problem, unknown = p.missing(what, unknown)
			errs = append(errs, problem)
		case ok:
			if why := p.differs(v); why != "" {
				errs = append(errs, &Problem{fmt.Sprintf("the %s %s %s", what, p.name, why), p.want(), p.remedy(v)})
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
