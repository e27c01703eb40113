//go:build cgo

package ort

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// sequence is what one sequence brings to a layer, position by position.
type sequence struct {
	q, k, v []float32 // [length, heads*headDim]
	length  int
}

// play is how the rows of some sequences are dealt out to calls of a layer.
type play struct {
	of       *attention // heads, norms, rotation, window: what the calls have in common
	pageSize int
	threads  int
	kv       int
	whole    bool        // half of each sequence is its prompt: in one call, and its rows see all of it
	chunk    func() int  // rows of the next span
	joins    func() bool // whether a sequence is in the next call
}

func randomSequence(rng *rand.Rand, a *attention, length int) *sequence {
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64() * math.Exp(rng.NormFloat64()))
		}
		return x
	}
	wide, narrow := length*a.qHeads*a.headDim, length*a.kvHeads*a.headDim
	return &sequence{random(wide), random(narrow), random(narrow), length}
}

// run gives each sequence's output, [length, qHeads*headDim].
func (p *play) run(t *testing.T, rng *rand.Rand, all []*sequence) (out [][]float32) {
	t.Helper()
	a := *p.of
	qw, kw := a.qHeads*a.headDim, a.kvHeads*a.headDim
	pages := 0
	for _, s := range all {
		a.columns = max(a.columns, (s.length+p.pageSize-1)/p.pageSize)
	}
	tables := make([][]int32, len(all))
	free := rng.Perm(a.columns * len(all))
	for i := range all {
		for range a.columns {
			tables[i], pages = append(tables[i], int32(free[pages])), pages+1
		}
	}
	a.pageSize, a.threads, a.slabs = p.pageSize, p.threads, pages*a.layers
	numbers := a.slabs * a.pageSize * kw
	switch a.kv = p.kv; p.kv {
	case kvF32:
		a.keys, a.values = make([]float32, numbers), make([]float32, numbers)
	case kvF16:
		a.rawKeys, a.rawValues = make([]byte, 2*numbers), make([]byte, 2*numbers)
	default:
		heads := numbers / a.headDim
		a.rawKeys, a.rawValues = make([]byte, numbers+2*heads), make([]byte, numbers+2*heads)
	}
	a.qStride, a.kStride, a.vStride = qw, kw, kw
	done := make([]int, len(all))
	out = make([][]float32, len(all))
	for {
		type part struct{ sequence, rows int }
		var parts []part
		left := 0
		a.q, a.k, a.v, a.table, a.past, a.visible, a.cumulative = nil, nil, nil, nil, nil, nil, []int32{0}
		for _, i := range rng.Perm(len(all)) {
			s := all[i]
			rows := min(p.chunk(), s.length-done[i])
			if p.whole && done[i] == 0 {
				rows = (s.length + 1) / 2
			}
			if left += s.length - done[i]; rows == 0 || !p.joins() {
				continue
			}
			from, to := done[i], done[i]+rows
			a.q, a.k, a.v = append(a.q, s.q[from*qw:to*qw]...), append(a.k, s.k[from*kw:to*kw]...), append(a.v, s.v[from*kw:to*kw]...)
			a.past, a.table = append(a.past, int32(from)), append(a.table, tables[i]...)
			a.cumulative = append(a.cumulative, a.cumulative[len(a.cumulative)-1]+int32(rows))
			if p.whole {
				a.visible = append(a.visible, int32(s.length+1)/2)
			}
			parts = append(parts, part{i, rows})
		}
		if left == 0 {
			return out
		}
		if len(parts) == 0 {
			continue
		}
		a.out = make([]float32, len(a.q))
		if err := a.run(); err != nil {
			t.Fatal(err)
		}
		rest := a.out
		for _, x := range parts {
			out[x.sequence], done[x.sequence] = append(out[x.sequence], rest[:x.rows*qw]...), done[x.sequence]+x.rows
			rest = rest[x.rows*qw:]
		}
	}
}

// The promise of the operator: a row's bits depend on its own sequence up to its position alone. Each sequence is computed
// token by token on one thread, and then in company, in chunks of any size, from pages of another size, on more threads.
func TestAttentionIsExactInAnyCompany(t *testing.T) {
	kinds := map[string]int{"f32": kvF32, "f16": kvF16, "int8": kvInt8}
	for name, kv := range kinds {
		t.Run(name, func(t *testing.T) {
			eachISA(t, func(t *testing.T) {
				for seed := range uint64(8) {
					rng := rand.New(rand.NewPCG(seed, 31))
					shape := anyShape(rng)
					shape.spans, shape.packed = []span{{0, 1500}}, false
					whole := seed%2 == 1
					if whole {
						shape.window = 0
					}
					if shape.window > 0 && rng.IntN(2) == 0 {
						shape.window = 200 + rng.IntN(400)
					}
					of := newCase(rng, shape)
					lengths := []int{1 + rng.IntN(60), 100 + rng.IntN(200), 300 + rng.IntN(300)}
					if seed%4 == 0 {
						lengths = append(lengths, 1100)
					}
					var all []*sequence
					for _, n := range lengths {
						all = append(all, randomSequence(rng, of, n))
					}
					one := func() int { return 1 }
					always := func() bool { return true }
					want := make([][]float32, len(all))
					for i := range all {
						alone := &play{of: of, pageSize: 16, threads: 1, kv: kv, whole: whole, chunk: one, joins: always}
						want[i] = alone.run(t, rng, all[i:i+1])[0]
					}
					for range 2 {
						most := 1 + rng.IntN(200)
						mixed := &play{
							of: of, pageSize: 1 + rng.IntN(40), threads: 1 + rng.IntN(9), kv: kv, whole: whole,
							chunk: func() int { return 1 + rng.IntN(most) }, joins: func() bool { return rng.IntN(3) > 0 },
						}
						for i, got := range mixed.run(t, rng, all) {
							sameBits(t, fmt.Sprintf("seed %d, %+v: sequence %d of %v in chunks of at most %d on %d threads", seed, shape, i, lengths, most, mixed.threads),
								got, want[i], of.qHeads*of.headDim)
						}
					}
				}
			})
		})
	}
}

func sameBits(t *testing.T, what string, got, want []float32, width int) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: number %d of row %d is %v (%#x), alone it is %v (%#x)", what, i%width, i/width, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}
