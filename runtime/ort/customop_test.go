//go:build cgo

package ort

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// opInputs are the op's inputs in order, with the dims that a graph declares.
var opInputs = []value{
	{"query", Float32, []any{"rows", "width"}},
	{"key", Float32, []any{"rows", "kv_width"}},
	{"value", Float32, []any{"rows", "kv_width"}},
	{"key_cache", Float32, []any{"slabs", "page", "heads", "dim"}},
	{"value_cache", Float32, []any{"slabs", "page", "heads", "dim"}},
	{"cumulative_sequence_length", Int32, []any{"spans1"}},
	{"past_seqlens", Int32, []any{"spans"}},
	{"block_table", Int32, []any{"spans", "columns"}},
	{"cos_cache", Float32, []any{"positions", "half"}},
	{"sin_cache", Float32, []any{"positions", "half"}},
	{"q_norm_weight", Float32, []any{"dim"}},
	{"k_norm_weight", Float32, []any{"dim"}},
	{"visible_seqlens", Int32, []any{"spans"}},
}

// pagedGraph is one PagedAttention node; inputs named in without are left out.
func pagedGraph(attributes map[string]any, without ...string) graph {
	n := node{domain: "loopserve", op: "PagedAttention", outputs: []string{"output"}, attributes: attributes}
	g := graph{outputs: []value{{"output", Float32, []any{"rows", "out_width"}}}}
	for _, v := range opInputs {
		if slices.Contains(without, v.name) {
			n.inputs = append(n.inputs, "")
			continue
		}
		n.inputs = append(n.inputs, v.name)
		g.inputs = append(g.inputs, v)
	}
	g.nodes = []node{n}
	return g
}

// opCases use every attribute and every optional input.
func opCases() map[string]shape {
	spans := []span{{past: 5, rows: 3}, {past: 0, rows: 9}, {past: 31, rows: 1}}
	return map[string]shape{
		"plain":       {qHeads: 2, kvHeads: 2, headDim: 16, pageSize: 4, layers: 1, spans: spans},
		"packed":      {qHeads: 2, kvHeads: 2, headDim: 16, pageSize: 4, layers: 1, packed: true, rotary: 16, spans: spans},
		"grouped":     {qHeads: 6, kvHeads: 2, headDim: 8, pageSize: 7, layers: 3, layer: 2, packed: true, spans: spans},
		"rope":        {qHeads: 4, kvHeads: 1, headDim: 32, pageSize: 16, layers: 2, layer: 1, rotary: 32, spans: spans},
		"interleaved": {qHeads: 4, kvHeads: 4, headDim: 16, pageSize: 16, layers: 2, rotary: 8, interleaved: true, spans: spans},
		"norm":        {qHeads: 4, kvHeads: 2, headDim: 24, pageSize: 4, layers: 1, rotary: 24, qkNorm: 1, gains: true, spans: spans},
		"norm after":  {qHeads: 4, kvHeads: 2, headDim: 24, pageSize: 4, layers: 1, rotary: 24, qkNorm: 2, packed: true, spans: spans},
		"visible":     {qHeads: 4, kvHeads: 2, headDim: 16, pageSize: 4, layers: 1, rotary: 16, visible: true, spans: spans},
		"window":      {qHeads: 2, kvHeads: 1, headDim: 16, pageSize: 4, layers: 1, window: 6, softcap: 5, spans: spans},
		"long":        {qHeads: 8, kvHeads: 2, headDim: 64, pageSize: 16, layers: 1, rotary: 64, spans: []span{{past: 900, rows: 40}, {past: 0, rows: 70}}},
		"no rows":     {qHeads: 2, kvHeads: 2, headDim: 16, pageSize: 4, layers: 1, spans: []span{{past: 5, rows: 0}}},
	}
}

// paged is a case of the kernel's own tests, run through ONNX Runtime.
type paged struct {
	bound
	a      *attention
	packed bool
}

// bound is a session with a call whose tensors have buffers of their own.
type bound struct {
	s       *Session
	c       *Call
	buffers map[string]*Buffer
}

func newPaged(t *testing.T, a *attention, packed bool) *paged {
	t.Helper()
	attributes := map[string]any{
		"num_heads": a.qHeads, "kv_num_heads": a.kvHeads, "layer": a.layer, "num_layers": max(a.layers, 1),
		"scale": a.scale, "softcap": a.softcap, "local_window_size": a.window, "qk_norm": a.qkNorm, "qk_norm_epsilon": a.eps,
	}
	var without []string
	if packed {
		without = append(without, "key", "value")
	}
	if a.cos == nil {
		without = append(without, "cos_cache", "sin_cache")
	} else {
		attributes["do_rotary"] = 1
		if a.interleaved {
			attributes["rotary_interleaved"] = 1
		}
	}
	if a.qNorm == nil {
		without = append(without, "q_norm_weight", "k_norm_weight")
	}
	if a.visible == nil {
		without = append(without, "visible_seqlens")
	}
	p := &paged{bound: bound{buffers: map[string]*Buffer{}}, a: a, packed: packed}
	g := pagedGraph(attributes, without...)
	element, width := [...]ElementType{kvF32: Float32, kvF16: Float16, kvInt8: Uint8}[a.kv], a.headDim
	if a.kv == kvInt8 {
		width += 2
	}
	for i := range g.inputs {
		if strings.HasSuffix(g.inputs[i].name, "_cache") && len(g.inputs[i].dims) == 4 {
			g.inputs[i].t = element
			g.inputs[i].dims = []any{"slabs", "page", "heads", width}
		}
	}
	p.s, p.c = g.load(t)
	rows := len(a.out) / (a.qHeads * a.headDim)
	qWidth, kvWidth := a.qHeads*a.headDim, a.kvHeads*a.headDim
	if packed {
		p.floats(t, "query", dense(a.q, rows, qWidth+2*kvWidth, a.qStride), rows, qWidth+2*kvWidth)
	} else {
		p.floats(t, "query", dense(a.q, rows, qWidth, a.qStride), rows, qWidth)
		p.floats(t, "key", dense(a.k, rows, kvWidth, a.kStride), rows, kvWidth)
		p.floats(t, "value", dense(a.v, rows, kvWidth, a.vStride), rows, kvWidth)
	}
	if a.kv == kvF32 {
		p.floats(t, "key_cache", a.keys, a.slabs, a.pageSize, a.kvHeads, a.headDim)
		p.floats(t, "value_cache", a.values, a.slabs, a.pageSize, a.kvHeads, a.headDim)
	} else {
		for name, raw := range map[string][]byte{"key_cache": a.rawKeys, "value_cache": a.rawValues} {
			p.buffers[name] = buffer(t, len(raw))
			copy(p.buffers[name].Bytes(), raw)
			p.bind(name, a.slabs, a.pageSize, a.kvHeads, width)
		}
	}
	p.ints(t, "cumulative_sequence_length", a.cumulative, len(a.cumulative))
	p.ints(t, "past_seqlens", a.past, len(a.past))
	p.ints(t, "block_table", a.table, len(a.past), a.columns)
	if a.visible != nil {
		p.ints(t, "visible_seqlens", a.visible, len(a.visible))
	}
	if a.cos != nil {
		p.floats(t, "cos_cache", a.cos, a.positions, a.rotary/2)
		p.floats(t, "sin_cache", a.sin, a.positions, a.rotary/2)
	}
	if a.qNorm != nil {
		p.floats(t, "q_norm_weight", a.qNorm, a.headDim)
		p.floats(t, "k_norm_weight", a.kNorm, a.headDim)
	}
	p.buffers["output"] = buffer(t, 4*len(a.out))
	p.c.Out(0, p.buffers["output"], int64(rows), int64(qWidth))
	return p
}

// dense takes rows of width floats out of a matrix whose rows begin stride floats apart.
func dense(m []float32, rows, width, stride int) (out []float32) {
	for r := range rows {
		out = append(out, m[r*stride:r*stride+width]...)
	}
	return out
}

func (b *bound) floats(t *testing.T, name string, data []float32, shape ...int) {
	t.Helper()
	b.buffers[name] = buffer(t, 4*len(data))
	copy(b.buffers[name].F32(), data)
	b.bind(name, shape...)
}

func (b *bound) ints(t *testing.T, name string, data []int32, shape ...int) {
	t.Helper()
	b.buffers[name] = buffer(t, 4*len(data))
	copy(b.buffers[name].I32(), data)
	b.bind(name, shape...)
}

func (b *bound) bind(name string, shape ...int) {
	dims := make([]int64, len(shape))
	for i, n := range shape {
		dims[i] = int64(n)
	}
	b.c.In(b.s.Input(name), b.buffers[name], dims...)
}

// The op through ONNX Runtime gives what the kernel gives when it is called bare on one thread, bit for bit: attributes,
// strides, optional inputs and the pool change nothing. (The kernel itself is compared with float64 in attention_test.go;
// every case here is compared with that reference too.)
func TestPagedAttentionThroughONNXRuntime(t *testing.T) {
	CheckLeaks(t)
	rng := rand.New(rand.NewPCG(7, 7))
	for name, s := range opCases() {
		t.Run(name, func(t *testing.T) {
			a := newCase(rng, s)
			p := newPaged(t, a, s.packed)
			if err := p.c.Run(); err != nil {
				t.Fatal(err)
			}
			bare := *a
			bare.threads = 1
			bare.keys, bare.values, bare.out = slices.Clone(a.keys), slices.Clone(a.values), slices.Clone(a.out)
			if err := bare.run(); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(p.buffers["output"].F32(), bare.out) {
				t.Error("the output differs from the bare kernel's")
			}
			if !slices.Equal(p.buffers["key_cache"].F32(), bare.keys) || !slices.Equal(p.buffers["value_cache"].F32(), bare.values) {
				t.Error("the caches differ from the bare kernel's")
			}
			a.compare(t, name)
		})
	}
}

// Malformed metadata: the code is InvalidArgument, nothing was written, and the same call works when it is put right.
func TestPagedAttentionRefusesMalformedMetadata(t *testing.T) {
	CheckLeaks(t)
	a := newCase(rand.New(rand.NewPCG(1, 2)), opCases()["plain"])
	p := newPaged(t, a, false)
	run := func() error { return p.c.Run() }
	cumulative, past, table := p.buffers["cumulative_sequence_length"].I32(), p.buffers["past_seqlens"].I32(), p.buffers["block_table"].I32()
	last := len(cumulative) - 1
	for _, test := range []struct {
		name  string
		entry *int32
		bad   int32
		says  string
	}{
		{"a page outside the arena", &table[0], int32(a.slabs), "block_table[0,0]"},
		{"an unmapped page", &table[0], -1, "block_table[0,0] is -1"},
		{"a negative page", &table[0], -1 << 31, "block_table[0,0]"},
		{"a negative past", &past[0], -1, "past_seqlens[0] is -1"},
		{"a past beyond the table", &past[0], 1<<31 - 1, "span 0"},
		{"rows that begin late", &cumulative[0], 1, "cumulative_sequence_length[0]"},
		{"rows that go back", &cumulative[1], -1, "cumulative_sequence_length[1]"},
		{"more rows than there are", &cumulative[last], cumulative[last] + 1, "cumulative_sequence_length"},
		{"fewer rows than there are", &cumulative[last], cumulative[last] - 1, "cumulative_sequence_length"},
	} {
		good := *test.entry
		*test.entry = test.bad
		err := run()
		if !errors.Is(err, InvalidArgument) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want invalid argument and %q in it", test.name, err, test.says)
		}
		if !slices.Equal(p.buffers["key_cache"].F32(), a.keys) || !slices.Equal(p.buffers["value_cache"].F32(), a.values) {
			t.Fatalf("%s: the caches were written", test.name)
		}
		*test.entry = good
	}
	if err := run(); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// Shapes that do not belong together are refused the same way.
func TestPagedAttentionRefusesWrongShapes(t *testing.T) {
	CheckLeaks(t)
	a := newCase(rand.New(rand.NewPCG(1, 2)), opCases()["plain"])
	p := newPaged(t, a, false)
	rows, spans := len(a.out)/(a.qHeads*a.headDim), len(a.past)
	for _, test := range []struct {
		input      string
		bad, right []int
		says       string
	}{
		{"query", []int{rows, 1}, []int{rows, a.qHeads * a.headDim}, "query has 1 columns"},
		{"key", []int{rows, 1}, []int{rows, a.kvHeads * a.headDim}, "key is ["},
		{"key_cache", []int{1, a.pageSize, a.kvHeads, a.headDim}, []int{a.slabs, a.pageSize, a.kvHeads, a.headDim}, "differ in shape"},
		{"past_seqlens", []int{0}, []int{spans}, "entries for 0 spans"},
		{"block_table", []int{spans, 0}, []int{spans, a.columns}, "block_table has 0 columns"},
	} {
		p.bind(test.input, test.bad...)
		if err := p.c.Run(); !errors.Is(err, InvalidArgument) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s %v: error %v, want invalid argument and %q in it", test.input, test.bad, err, test.says)
		}
		p.bind(test.input, test.right...)
	}
	if err := p.c.Run(); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// What a graph declares wrongly is found when it is loaded.
func TestPagedAttentionRefusesWrongNodes(t *testing.T) {
	CheckLeaks(t)
	e := open(t)
	right := map[string]any{"num_heads": 2, "kv_num_heads": 1}
	with := func(name string, v any) map[string]any {
		m := maps.Clone(right)
		m[name] = v
		return m
	}
	retyped := func(name string, typ ElementType) graph {
		g := pagedGraph(right)
		for i := range g.inputs {
			if g.inputs[i].name == name {
				g.inputs[i].t = typ
			}
		}
		return g
	}
	none, renamed, constant := pagedGraph(nil), pagedGraph(right), pagedGraph(right)
	renamed.inputs[3].name, renamed.nodes[0].inputs[3] = "mine", "mine"
	constant.inputs = slices.Delete(constant.inputs, 3, 4)
	constant.weights = []weight{{name: "key_cache", bytes: make([]byte, 64), dims: []int{1, 4, 1, 16}}}
	for _, test := range []struct {
		name string
		g    graph
		says string
	}{
		{"no attributes", none, "num_heads"},
		{"no query heads", pagedGraph(with("num_heads", 0)), "num_heads"},
		{"heads as a float", pagedGraph(with("num_heads", float32(2))), "num_heads"},
		{"scale as an integer", pagedGraph(with("scale", 1)), "scale"},
		{"a norm of another kind", pagedGraph(with("qk_norm", 3)), "qk_norm"},
		{"heads that do not divide", pagedGraph(with("kv_num_heads", 3)), "kv_num_heads"},
		{"a layer outside", pagedGraph(with("layer", 1)), "layer"},
		{"float16 queries", retyped("query", Float16), "float16"},
		{"int64 lengths", retyped("past_seqlens", Int64), "int64"},
		{"no cache", pagedGraph(right, "key_cache"), "input 3"},
		{"heads that wrap", pagedGraph(with("num_heads", 1<<60+8)), "num_heads"},
		{"layers that wrap", pagedGraph(with("num_layers", math.MaxInt64)), "num_layers is 9223372036854775807"},
		{"a window that wraps", pagedGraph(with("local_window_size", math.MinInt64)), "local_window_size"},
		{"an infinite scale", pagedGraph(with("scale", float32(math.Inf(1)))), "finite"},
		{"a cache of another name", renamed, "not another value"},
		{"a constant as cache", constant, "not a constant"},
	} {
		s, err := e.Load(test.g.file(t), SessionOptions{})
		var full *Error
		if !errors.As(err, &full) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %q in it", test.name, err, test.says)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The caches of each kind through ONNX Runtime: the same bits as the kernel alone.
func TestPagedAttentionOfEachKVKind(t *testing.T) {
	for name, kv := range kvKinds {
		t.Run(name, func(t *testing.T) {
			CheckLeaks(t)
			a := newCase(rand.New(rand.NewPCG(31, 32)), shape{qHeads: 4, kvHeads: 2, headDim: 24, pageSize: 4, layers: 2, layer: 1, rotary: 24, spans: []span{{past: 5, rows: 3}, {past: 0, rows: 9}, {past: 31, rows: 1}}})
			a.quantise(kv)
			p := newPaged(t, a, false)
			if err := p.c.Run(); err != nil {
				t.Fatal(err)
			}
			if err := a.run(); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(p.buffers["output"].F32(), a.out) {
				t.Error("the output differs from the kernel's own")
			}
			if !slices.Equal(p.buffers["key_cache"].Bytes(), a.rawKeys) || !slices.Equal(p.buffers["value_cache"].Bytes(), a.rawValues) {
				t.Error("the caches differ from the kernel's own")
			}
		})
	}
}
