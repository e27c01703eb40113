//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// One KV head and one long row leave nothing to share out but the keys: more threads, more parts. Several KV heads are
// shared out, too, with an uneven rest of each. No bit of a row tells how its call was cut.
func TestAttentionCutByKeys(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(11, 12))
		for _, c := range []shape{
			{qHeads: 1, kvHeads: 1, headDim: 64, spans: []span{{2999, 1}}},
			{qHeads: 20, kvHeads: 1, headDim: 32, spans: []span{{2000, 1}, {0, 0}, {5, 1}}},
			{qHeads: 40, kvHeads: 1, headDim: 16, spans: []span{{1023, 1}}},
			{qHeads: 2, kvHeads: 2, headDim: 31, spans: []span{{1500, 2}, {3, 1}}, softcap: 4},
			{qHeads: 4, kvHeads: 2, headDim: 80, spans: []span{{1800, 3}}, window: 1000},
			{qHeads: 5, kvHeads: 5, headDim: 16, spans: []span{{511, 1}}},
			{qHeads: 16, kvHeads: 16, headDim: 32, spans: []span{{256, 1}}},
			{qHeads: 16, kvHeads: 16, headDim: 16, spans: []span{{767, 1}, {130, 1}}},
			{qHeads: 20, kvHeads: 5, headDim: 24, spans: []span{{299, 1}, {0, 1}, {1100, 1}}},
			{qHeads: 7, kvHeads: 7, headDim: 31, spans: []span{{1500, 2}}, window: 700},
		} {
			c.pageSize, c.layers, c.rotary = 7, 1, c.headDim/2*2
			a := newCase(rng, c)
			var alone []float32
			for _, threads := range []int{1, 2, 3, 7, 15, 64} {
				what := fmt.Sprintf("%+v on %d threads", c, threads)
				a.threads, a.out = threads, make([]float32, len(a.out))
				a.compare(t, what)
				if alone == nil {
					alone = a.out
				}
				sameBits(t, what, a.out, alone, a.qHeads*a.headDim)
			}
		}
	})
}

// Rows with gaps between them, and a guard before and after every buffer that is written: guards and gaps stay as
// they are, and the inputs too.
func TestAttentionWritesOnlyItsOwn(t *testing.T) {
	const guard, mark = 64, float32(12345)
	guarded := func(s []float32) (inside, all []float32) {
		all = slices.Repeat([]float32{mark}, len(s)+2*guard)
		copy(all[guard:], s)
		return all[guard : guard+len(s) : guard+len(s)], all
	}
	widen := func(s []float32, rows, width, stride int) []float32 {
		wide := slices.Repeat([]float32{mark}, rows*stride)
		for r := range rows {
			copy(wide[r*stride:], s[r*width:(r+1)*width])
		}
		return wide
	}
	eachISA(t, func(t *testing.T) {
		for _, headDim := range []int{1, 8, 31, 64, 129, 200, 352, 353, 512} { // beyond 64, as many tiles as there is room for
			for _, spans := range [][]span{{{0, 0}, {37, 1}, {0, 0}, {3, 40}, {0, 0}}, {{300, 2}}, {{0, 0}}, {}, {{3, 100}}} {
				a := newCase(rand.New(rand.NewPCG(13, 14)), shape{qHeads: 6, kvHeads: 2, headDim: headDim, pageSize: 5, layers: 2, layer: 1, spans: spans})
				if a.threads = 3; len(spans) == 1 {
					a.threads = 1
				}
				rows := int(a.cumulative[len(a.past)])
				a.q, a.qStride = widen(a.q, rows, a.qStride, a.qStride+3), a.qStride+3
				a.k, a.kStride = widen(a.k, rows, a.kStride, a.kStride+5), a.kStride+5
				a.v, a.vStride = widen(a.v, rows, a.vStride, a.vStride+9), a.vStride+9
				var out, keys, values []float32
				a.out, out = guarded(a.out)
				a.keys, keys = guarded(a.keys)
				a.values, values = guarded(a.values)
				inputs := slices.Concat(a.q, a.k, a.v)
				a.compare(t, fmt.Sprintf("head_dim %d, %v", headDim, spans))
				if !slices.Equal(inputs, slices.Concat(a.q, a.k, a.v)) {
					t.Errorf("head_dim %d, %v: an input changed", headDim, spans)
				}
				for name, all := range map[string][]float32{"output": out, "key cache": keys, "value cache": values} {
					for i := range guard {
						if all[i] != mark || all[len(all)-1-i] != mark {
							t.Fatalf("head_dim %d, %v: wrote outside the %s", headDim, spans, name)
						}
					}
				}
			}
		}
	})
}

// The law, for this operator: what a sequence gets does not depend on who else is in the call.
func TestAttentionIsTheSameInAnyMix(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		s := shape{qHeads: 8, kvHeads: 2, headDim: 64, pageSize: 16, layers: 1, rotary: 64, spans: []span{{700, 1}, {0, 90}, {33, 5}, {0, 0}, {2100, 1}, {15, 1}}}
		mix := newCase(rand.New(rand.NewPCG(15, 16)), s)
		for i := range s.spans {
			alone := *mix
			from, to := int(mix.cumulative[i]), int(mix.cumulative[i+1])
			alone.cumulative, alone.past = []int32{0, int32(to - from)}, mix.past[i:i+1]
			alone.table = mix.table[i*mix.columns : (i+1)*mix.columns]
			alone.q, alone.k, alone.v = mix.q[from*mix.qStride:], mix.k[from*mix.kStride:], mix.v[from*mix.vStride:]
			alone.keys, alone.values = slices.Clone(mix.keys), slices.Clone(mix.values)
			width := mix.qHeads * mix.headDim
			alone.out, alone.threads = make([]float32, (to-from)*width), 2
			if err := alone.run(); err != nil {
				t.Fatal(err)
			}
			together := *mix
			together.keys, together.values, together.out = slices.Clone(mix.keys), slices.Clone(mix.values), make([]float32, len(mix.out))
			if err := together.run(); err != nil {
				t.Fatal(err)
			}
			sameBits(t, fmt.Sprintf("span %d", i), together.out[from*width:to*width], alone.out, width)
		}
	})
}

// unkept gives each span a table whose full pages before its first row are the same, and whose others are new: what a loop that keeps
// nothing reads (loopctl/kv). refresh copies the plane's rows of a new page: all, or the newest of each span, which is what one more
// token takes.
func (a *attention) unkept() (b *attention, refresh func(all bool)) {
	c := *a
	b = &c
	b.table, b.out = slices.Clone(a.table), make([]float32, len(a.out))
	var from, to, newest []int // places of rows
	pages := a.slabs / a.layers
	for i, past := range a.past {
		first := int(past) / a.pageSize
		for column := first; column < a.columns && a.table[i*a.columns+column] >= 0; column++ {
			b.table[i*a.columns+column] = int32(pages)
			for row := 0; column == first && row < int(past)%a.pageSize; row++ {
				from = append(from, (int(a.table[i*a.columns+column])*a.layers+a.layer)*a.pageSize+row)
				to = append(to, (pages*a.layers+a.layer)*a.pageSize+row)
				if row == int(past)%a.pageSize-1 {
					newest = append(newest, len(from)-1)
				}
			}
			pages++
		}
	}
	rows := a.slabs * a.pageSize // of the caches as they were
	b.slabs = pages * a.layers
	grown := b.slabs * a.pageSize
	b.keys, b.values = widened(a.keys, rows, grown), widened(a.values, rows, grown)
	b.rawKeys, b.rawValues = widened(a.rawKeys, rows, grown), widened(a.rawValues, rows, grown)
	move := func(i int) {
		copyRow(b.keys, grown, from[i], to[i])
		copyRow(b.values, grown, from[i], to[i])
		copyRow(b.rawKeys, grown, from[i], to[i])
		copyRow(b.rawValues, grown, from[i], to[i])
	}
	return b, func(all bool) {
		for i := range from {
			if all || slices.Contains(newest, i) {
				move(i)
			}
		}
	}
}

func widened[T any](cache []T, rows, grown int) []T {
	return append(slices.Clone(cache), make([]T, len(cache)/rows*(grown-rows))...)
}

func copyRow[T any](cache []T, rows, from, to int) {
	n := len(cache) / rows
	copy(cache[to*n:(to+1)*n], cache[from*n:])
}

// A loop that keeps nothing gets what one that writes the plane gets, to the bit, and leaves the plane as it is, in each kind of cache.
// (What that is, the other tests compare with plain arithmetic.)
func TestAttentionOfRowsThatAreNotKept(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(17, 18))
		for i := range 60 {
			s := anyShape(rng)
			s.visible = false // a prompt that sees ahead is in one call, where nothing lies before it
			a := newCase(rng, s)
			if a.kv = i % 3; a.kv != kvF32 {
				a.quantise(a.kv)
			}
			b, refresh := a.unkept()
			refresh(true)
			a.threads, b.threads = 1, 1+i%3
			keys, rawKeys := slices.Clone(a.keys), slices.Clone(a.rawKeys)
			if err := errors.Join(a.run(), b.run()); err != nil {
				t.Fatal(err)
			}
			sameBits(t, fmt.Sprintf("case %d %+v", i, s), b.out, a.out, a.qHeads*a.headDim)
			if !slices.Equal(b.keys[:len(keys)], keys) || !slices.Equal(b.rawKeys[:len(rawKeys)], rawKeys) {
				t.Fatalf("case %d %+v: the plane was written", i, s)
			}
		}
	})
}
