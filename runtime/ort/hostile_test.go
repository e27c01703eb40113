//go:build cgo

package ort

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guarded is a buffer whose last byte lies before a page that nobody may touch: one that is read or written beyond
// its end ends the test, with and without a sanitizer.
func guarded(t *testing.T, bytes int) *Buffer {
	t.Helper()
	page := os.Getpagesize()
	whole := (bytes+page-1)/page*page + page
	mem, err := unix.Mmap(-1, 0, whole, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mprotect(mem[whole-page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	b := &Buffer{ptr: unsafe.Add(unsafe.Pointer(unsafe.SliceData(mem)), whole-page-bytes), size: bytes}
	t.Cleanup(func() {
		b.ptr = nil
		if err := unix.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	return b
}

// hostile numbers are those that wrap, in products and differences.
func hostile(rng *rand.Rand, near int) int {
	of := []int{-1, 0, 1, 2, near - 1, near + 1, 2 * near, near + 1<<32, math.MaxInt32, 1 << 31, 1<<60 + 8, 1<<62 + near, math.MaxInt64, math.MinInt64, math.MinInt64 / near}
	return of[rng.IntN(len(of))]
}

// rounds is how many random graphs each test below plays: `make sanitize` has more.
func rounds(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("LOOPSERVE_HOSTILE"))
	if err != nil {
		return 300
	}
	return n
}

// playHostile loads a graph of one node and runs it over guarded buffers. Whatever its attributes and shapes say, the worst is
// an error. fill writes the contents; it has the inputs' names and dims.
func playHostile(t *testing.T, e *Env, g graph, dims map[string][]int, fill func(name string, b *Buffer), out []int) (loaded, ran bool) {
	t.Helper()
	s, err := e.LoadBytes("hostile.onnx", g.encode(), SessionOptions{})
	if err != nil {
		return false, false
	}
	defer s.Close()
	c, err := s.NewCall()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := bound{s: s, c: c, buffers: map[string]*Buffer{}}
	for _, in := range g.inputs {
		n := in.t.Size()
		for _, d := range dims[in.name] {
			if n *= d; n < 0 || n > 1<<24 || d > 1<<24 {
				n = 0 // a tensor without elements may have any other dimension
			}
		}
		b.buffers[in.name] = guarded(t, n)
		fill(in.name, b.buffers[in.name])
		b.bind(in.name, dims[in.name]...)
	}
	size, shape := 4, make([]int64, len(out))
	for i, d := range out {
		size *= d
		shape[i] = int64(d)
	}
	c.Out(0, guarded(t, size), shape...)
	return true, c.Run() == nil
}

// Attributes, shapes and metadata of an attention node at random, most of them hostile: nothing but an error comes of it.
func TestHostileAttention(t *testing.T) {
	e := open(t)
	var played tally
	for i := range rounds(t) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(i), 11))
			sh := anyShape(rng)
			sh.spans, sh.packed = sh.spans[:1+rng.IntN(2)], false
			a := newCase(rng, sh)
			attributes := map[string]any{"num_heads": a.qHeads, "kv_num_heads": a.kvHeads, "layer": a.layer, "num_layers": a.layers, "local_window_size": a.window, "qk_norm": a.qkNorm, "do_rotary": 0, "rotary_interleaved": 0}
			if a.cos != nil {
				attributes["do_rotary"] = 1
			}
			rows, spans, kv := len(a.out)/(a.qHeads*a.headDim), len(a.past), a.kvHeads*a.headDim
			cache := []int{a.slabs, a.pageSize, a.kvHeads, a.headDim}
			dims := map[string][]int{
				"query": {rows, a.qHeads * a.headDim}, "key": {rows, kv}, "value": {rows, kv}, "key_cache": cache, "value_cache": slices.Clone(cache),
				"cumulative_sequence_length": {spans + 1}, "past_seqlens": {spans}, "block_table": {spans, a.columns},
				"cos_cache": {a.positions, a.rotary / 2}, "sin_cache": {a.positions, a.rotary / 2}, "q_norm_weight": {a.headDim}, "k_norm_weight": {a.headDim}, "visible_seqlens": {spans},
			}
			visible := make([]int32, spans)
			for s := range visible {
				visible[s] = a.past[s] + int32(rng.IntN(2+a.columns*a.pageSize/2))
			}
			switch rng.IntN(4) {
			case 0:
				name := slices.Sorted(maps.Keys(attributes))[rng.IntN(len(attributes))]
				attributes[name] = hostile(rng, max(attributes[name].(int), 1))
			case 1:
				names := slices.Sorted(maps.Keys(dims))
				name := names[rng.IntN(len(names))]
				d := rng.IntN(len(dims[name]))
				dims[name][d] = hostile(rng, max(dims[name][d], 1))
				if rng.IntN(3) == 0 && len(dims[name]) > 1 {
					dims[name][(d+1)%len(dims[name])] = 0
				}
				if name == "key_cache" && rng.IntN(2) == 0 {
					dims["value_cache"] = slices.Clone(dims["key_cache"])
				}
			case 2:
				of := [][]int32{a.cumulative, a.past, a.table, visible}[rng.IntN(4)]
				of[rng.IntN(len(of))] = int32(hostile(rng, 1+rng.IntN(70)))
			}
			var without []string
			if a.cos == nil {
				without = []string{"cos_cache", "sin_cache"}
			}
			if a.window > 0 || rng.IntN(2) == 0 {
				without = append(without, "visible_seqlens")
			}
			g := pagedGraph(attributes, without...)
			for i := range g.inputs { // nothing is known before the call
				for d := range g.inputs[i].dims {
					g.inputs[i].dims[d] = fmt.Sprintf("%s_%d", g.inputs[i].name, d)
				}
			}
			played.add(playHostile(t, e, g, dims, func(name string, b *Buffer) {
				if of, ok := map[string][]int32{"cumulative_sequence_length": a.cumulative, "past_seqlens": a.past, "block_table": a.table, "visible_seqlens": visible}[name]; ok {
					copy(b.I32(), of)
				}
			}, []int{max(rows, 0), a.qHeads * a.headDim}))
		})
	}
	played.judge(t)
}

// tally counts what was loaded and what ran.
type tally struct{ loads, runs int }

func (c *tally) add(loaded, ran bool) {
	if loaded {
		c.loads++
	}
	if ran {
		c.runs++
	}
}

// judge fails where what was drawn did not try anything.
func (c *tally) judge(t *testing.T) {
	t.Helper()
	if n := rounds(t); c.runs < n/5 || c.loads == n || c.runs == c.loads {
		t.Errorf("of %d graphs %d were loaded and %d ran: what is drawn is too tame or too wild to try anything", n, c.loads, c.runs)
	}
}

// The same of a product.
func TestHostileProduct(t *testing.T) {
	e := open(t)
	var played tally
	for i := range rounds(t) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(i), 13))
			swiglu, bits := rng.IntN(3) == 0, []int{4, 8, 16, 32}[rng.IntN(4)]
			k, n, rows := 1+rng.IntN(100), 2*(1+rng.IntN(40)), rng.IntN(20)
			scaleBits := 16
			if bits == 4 && rng.IntN(2) == 0 {
				scaleBits = 8
			}
			p := &product{rows: rows, k: k, n: n, bits: bits, scaleBits: scaleBits, swiglu: swiglu, weightScale: 1, epsilon: 1e-6, gain: []float32{}}
			if !swiglu && rng.IntN(2) == 0 {
				p.bias, p.residual = []float32{}, []float32{}
			}
			attributes := p.attributes()
			dims := map[string][]int{"x": {rows, k}, "weights": {packedSize(n, k, bits, scaleBits, swiglu)}, "gain": {k}, "bias": {n}, "residual": {rows, n}}
			out := []int{rows, n}
			if swiglu {
				out[1] = n / 2
			}
			switch rng.IntN(3) {
			case 0:
				name := []string{"K", "N", "bits", "scale_bits", "activation"}[rng.IntN(5)]
				near, _ := attributes[name].(int)
				attributes[name] = hostile(rng, max(near, 1))
			case 1:
				name := slices.Sorted(maps.Keys(dims))[rng.IntN(len(dims))]
				d := rng.IntN(len(dims[name]))
				dims[name][d] = hostile(rng, max(dims[name][d], 1))
			}
			played.add(playHostile(t, e, packedLinearGraph(p, attributes), dims, func(string, *Buffer) {}, out))
		})
	}
	played.judge(t)
}

// The same of a loop's change: types, ranks and shapes are all that it has.
func TestHostileChange(t *testing.T) {
	e := open(t)
	var played tally
	for i := range rounds(t) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(i), 17))
			g, rows := changeGraph(), rng.IntN(20)
			width := rng.IntN(70)
			dims := map[string][]int{"before": {rows, width}, "after": {rows, width}}
			in := &g.inputs[rng.IntN(2)]
			switch rng.IntN(5) {
			case 0:
				in.t = Int32
			case 1:
				dims[in.name] = [][]int{{}, {rows * width}, {rows, width, 1}}[rng.IntN(3)]
				in.dims = []any{"a", "b", "c"}[:len(dims[in.name])]
			case 2:
				dims[in.name][rng.IntN(2)] = hostile(rng, max(width, 1))
			case 3:
				d := rng.IntN(2)
				dims["before"][d] = hostile(rng, max(width, 1))
				dims["before"][1-d] *= rng.IntN(2)
				dims["after"] = dims["before"]
			}
			played.add(playHostile(t, e, g, dims, func(string, *Buffer) {}, []int{rows}))
		})
	}
	played.judge(t)
}
