//go:build cgo

package ort

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// packedLinear is a graph of one PackedLinear node, with a call that is bound to the product's buffers.
type packedLinear struct {
	bound
	p *product
}

func (p *product) attributes() map[string]any {
	a := map[string]any{"K": p.k, "N": p.n, "bits": p.bits, "weight_scale": p.weightScale, "epsilon": p.epsilon}
	if p.scaleBits != 0 {
		a["scale_bits"] = p.scaleBits
	}
	if p.swiglu {
		a["activation"] = 1
	}
	return a
}

// packedLinearGraph has the product's tensors as inputs; those that it lacks are left out.
func packedLinearGraph(p *product, attributes map[string]any) graph {
	n := node{domain: "loopserve", op: "PackedLinear", outputs: []string{"y"}, attributes: attributes}
	g := graph{outputs: []value{{"y", Float32, []any{"rows", "columns"}}}}
	for _, v := range []struct {
		value
		present bool
	}{
		{value{"x", Float32, []any{"rows", "k"}}, true},
		{value{"weights", Uint8, []any{"bytes"}}, true},
		{value{"gain", Float32, []any{"gains"}}, p.gain != nil},
		{value{"bias", Float32, []any{"biases"}}, p.bias != nil},
		{value{"residual", Float32, []any{"more", "columns"}}, p.residual != nil},
	} {
		if !v.present {
			n.inputs = append(n.inputs, "")
			continue
		}
		n.inputs = append(n.inputs, v.name)
		g.inputs = append(g.inputs, v.value)
	}
	g.nodes = []node{n}
	return g
}

func newPackedLinear(t *testing.T, p *product) *packedLinear {
	t.Helper()
	q := &packedLinear{bound: bound{buffers: map[string]*Buffer{}}, p: p}
	q.s, q.c = packedLinearGraph(p, p.attributes()).load(t)
	q.floats(t, "x", p.x, p.rows, p.k)
	q.buffers["weights"] = buffer(t, len(p.weights))
	copy(q.buffers["weights"].Bytes(), p.weights)
	q.bind("weights", len(p.weights))
	if p.gain != nil {
		q.floats(t, "gain", p.gain, p.k)
	}
	if p.bias != nil {
		q.floats(t, "bias", p.bias, p.n)
	}
	if p.residual != nil {
		q.floats(t, "residual", p.residual, p.rows, p.n)
	}
	q.buffers["y"] = buffer(t, 4*len(p.out))
	q.c.Out(0, q.buffers["y"], int64(p.rows), int64(len(p.out)/p.rows))
	return q
}

// withAll has a bias and a residual too.
func withAll(rng *rand.Rand, rows, k, n, bits int) *product {
	p := newProduct(rng, rows, k, n, bits, false, true)
	p.bias, p.residual = make([]float32, n), make([]float32, rows*n)
	for i := range p.bias {
		p.bias[i] = float32(rng.NormFloat64())
	}
	for i := range p.residual {
		p.residual[i] = float32(rng.NormFloat64())
	}
	return p
}

// Through ONNX Runtime, on its pool, a product is the kernel's on one thread, bit for bit.
func TestPackedLinearThroughONNXRuntime(t *testing.T) {
	CheckLeaks(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for name, p := range map[string]*product{
		"bare":       newProduct(rng, 3, 64, 48, 4, false, false),
		"norm":       newProduct(rng, 5, 100, 40, 8, false, true),
		"SwiGLU":     newProduct(rng, 9, 96, 2*40, 4, true, true),
		"everything": withAll(rng, 7, 70, 33, 8),
		"large":      withAll(rng, 33, 512, 700, 4),
		"bytes":      withAll(rng, 33, 512, 700, inBytes),
		"float32":    withAll(rng, 14, 70, 33, 32),
		"bfloat16":   newProduct(rng, 9, 96, 2*40, 16, true, true),
	} {
		t.Run(name, func(t *testing.T) {
			q := newPackedLinear(t, p)
			if err := q.c.Run(); err != nil {
				t.Fatal(err)
			}
			p.threads = 1
			p.run()
			if !slices.Equal(q.buffers["y"].F32(), p.out) {
				t.Error("the output differs from the bare kernel's")
			}
			p.check(t)
		})
	}
}

// Weights that are a graph's external data are read where the caller has them, without a copy, and what is too short for
// the attributes is refused before a call.
func TestPackedLinearReadsFilesInPlace(t *testing.T) {
	p := newProduct(rand.New(rand.NewPCG(2, 3)), 3, 256, 704, 8, false, false)
	g := packedLinearGraph(p, p.attributes())
	g.inputs = g.inputs[:1]
	g.weights = []weight{{name: "weights", file: "w.data", offset: 4096, dims: []int{len(p.weights)}}}
	CheckLeaks(t)
	file := buffer(t, 4096+len(p.weights))
	copy(file.Bytes()[4096:], p.weights)
	e := open(t)
	s, err := e.LoadBytes("g", g.encode(), SessionOptions{Files: map[string]*Buffer{"w.data": file, "unused": file}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.NewCall()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q := bound{s: s, c: c, buffers: map[string]*Buffer{}}
	q.floats(t, "x", p.x, p.rows, p.k)
	out := buffer(t, 4*len(p.out))
	c.Out(0, out, int64(p.rows), int64(p.n))
	for range 2 {
		if err := c.Run(); err != nil {
			t.Fatal(err)
		}
		p.run()
		if !slices.Equal(out.F32(), p.out) {
			t.Error("the output differs from the bare kernel's")
		}
		for i := range p.weights { // what the session reads is this memory
			p.weights[i] ^= byte(i) & 1
		}
		copy(file.Bytes()[4096:], p.weights)
	}
	g.weights[0].dims[0] -= 64
	if _, err := e.LoadBytes("g", g.encode(), SessionOptions{Files: map[string]*Buffer{"w.data": file}}); err == nil || !strings.Contains(err.Error(), "weights have") {
		t.Errorf("weights that are too short: %v", err)
	}
}

// Tensors that do not fit the attributes are refused by name, and the same call works when it is put right.
func TestPackedLinearRefusesWrongShapes(t *testing.T) {
	CheckLeaks(t)
	p := withAll(rand.New(rand.NewPCG(3, 4)), 2, 64, 32, 4)
	q := newPackedLinear(t, p)
	for _, test := range []struct {
		input      string
		bad, right []int
		says       string
	}{
		{"x", []int{2, 63}, []int{2, 64}, "x has 63 columns, K is 64"},
		{"weights", []int{len(p.weights) - 1}, []int{len(p.weights)}, "weights have 1279 bytes, [32, 64] in 4 bits with scales of 16 takes 1280"},
		{"gain", []int{63}, []int{64}, "gain has 63 entries, K is 64"},
		{"bias", []int{31}, []int{32}, "bias has 31 entries, N is 32"},
		{"residual", []int{1, 32}, []int{2, 32}, "residual is [1, 32], must be [2, 32]"},
	} {
		q.bind(test.input, test.bad...)
		if err := q.c.Run(); !errors.Is(err, InvalidArgument) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s %v: error %v, want invalid argument and %q in it", test.input, test.bad, err, test.says)
		}
		q.bind(test.input, test.right...)
	}
	if err := q.c.Run(); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// What a node declares wrongly is found when its graph is loaded.
func TestPackedLinearRefusesWrongNodes(t *testing.T) {
	CheckLeaks(t)
	e := open(t)
	p := newProduct(rand.New(rand.NewPCG(5, 6)), 1, 64, 32, 4, false, false)
	for _, test := range []struct {
		attribute string
		v         any
		says      string
	}{
		{"K", 0, "K is 0"},
		{"K", 1 << 60, "K is 1152921504606846976, must be 1 to"},
		{"N", -1, "N is -1"},
		{"bits", 5, "bits is 5, must be 4, 8, 16 or 32"},
		{"scale_bits", 8, "scale_bits is 8, must be 16, or 8 with 4 bits"},
		{"scale_bits", 4, "scale_bits is 4, must be 16, or 8 with 4 bits"},
		{"bits", float32(4), "attribute bits must be an integer"},
		{"activation", 2, "activation is 2"},
		{"weight_scale", 1, "attribute weight_scale must be a float"},
	} {
		attributes := maps.Clone(p.attributes())
		if attributes[test.attribute] = test.v; test.v == 8 {
			attributes["bits"] = 8
		}
		s, err := e.Load(packedLinearGraph(p, attributes).file(t), SessionOptions{})
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s = %v: error %v, want %q in it", test.attribute, test.v, err, test.says)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
