//go:build cgo

package ort

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Every instruction set that this processor has.
func eachISA(t *testing.T, f func(t *testing.T)) {
	for name, isa := range map[string]int{"portable": isaPortable, "avx2": isaAVX2, "avx512": isaAVX512} {
		t.Run(name, func(t *testing.T) {
			if !forceISA(isa) {
				t.Skipf("this processor has no %s", name)
			}
			defer forceISA(-1)
			f(t)
		})
	}
}

type span struct{ past, rows int }

// shape is what decides a random case.
type shape struct {
	qHeads, kvHeads, headDim, pageSize, layers, layer int
	rotary, qkNorm, window                            int
	interleaved, packed, gains, visible               bool
	softcap                                           float32
	spans                                             []span
}

// anyShape draws one, with a span that lies over a page's border.
func anyShape(rng *rand.Rand) shape {
	pick := func(of ...int) int { return of[rng.IntN(len(of))] }
	s := shape{
		kvHeads: pick(1, 2, 3), headDim: pick(2, 8, 16, 24, 31, 32, 64, 80, 96, 128, 160), pageSize: pick(1, 7, 16, 32),
		layers: 1 + rng.IntN(3), qkNorm: pick(0, 0, 1, 2), window: pick(0, 0, 1, 5, 40),
		interleaved: rng.IntN(2) == 0, packed: rng.IntN(2) == 0, gains: rng.IntN(2) == 0,
	}
	s.qHeads = s.kvHeads * pick(1, 2, 4, 7, 20)
	s.layer = rng.IntN(s.layers)
	s.rotary = pick(0, s.headDim/2*2, max(2, s.headDim/4*2))
	if rng.IntN(4) == 0 {
		s.softcap = 5
	}
	for range 1 + rng.IntN(5) {
		s.spans = append(s.spans, span{past: pick(0, 1, rng.IntN(200)), rows: pick(0, 1, 1, 1+rng.IntN(70))})
	}
	s.spans = append(s.spans, span{past: s.pageSize - 1, rows: 2})
	s.visible = s.window == 0 && rng.IntN(3) == 0
	return s
}

// newCase makes a call with random content, scrambled pages, and canaries: slabs of no span and of other layers.
func newCase(rng *rand.Rand, s shape) *attention {
	a := &attention{
		qHeads: s.qHeads, kvHeads: s.kvHeads, headDim: s.headDim, pageSize: s.pageSize, layers: s.layers, layer: s.layer,
		rotary: s.rotary, interleaved: s.interleaved, qkNorm: s.qkNorm, eps: 1e-6, scale: float32(1 / math.Sqrt(float64(s.headDim))),
		softcap: s.softcap, window: s.window, cumulative: []int32{0},
	}
	random := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	rows, pages := 0, 0
	var columns []int
	for _, sp := range s.spans {
		rows += sp.rows
		keys := sp.past + sp.rows
		if s.visible { // from no more than before the span to beyond its end
			a.visible = append(a.visible, int32(rng.IntN(keys+10)))
			keys = max(keys, int(a.visible[len(a.visible)-1]))
		}
		n := (keys + s.pageSize - 1) / s.pageSize
		columns = append(columns, n)
		pages += n
		a.columns = max(a.columns, n)
		a.positions = max(a.positions, sp.past+sp.rows)
		a.cumulative = append(a.cumulative, int32(rows))
		a.past = append(a.past, int32(sp.past))
	}
	a.columns++ // one column that nobody needs
	free := rng.Perm(pages + 3)
	a.slabs = len(free) * s.layers
	for _, n := range columns {
		for c := range a.columns {
			if c < n {
				a.table = append(a.table, int32(free[0]))
				free = free[1:]
			} else {
				a.table = append(a.table, -1)
			}
		}
	}
	qw, kw := s.qHeads*s.headDim, s.kvHeads*s.headDim
	if s.packed {
		all := random(rows * (qw + 2*kw))
		a.q, a.k, a.v = all, all[min(qw, len(all)):], all[min(qw+kw, len(all)):]
		a.qStride, a.kStride, a.vStride = qw+2*kw, qw+2*kw, qw+2*kw
	} else {
		a.q, a.k, a.v, a.qStride, a.kStride, a.vStride = random(rows*qw), random(rows*kw), random(rows*kw), qw, kw, kw
	}
	if s.rotary > 0 {
		for p := range a.positions {
			for i := range s.rotary / 2 {
				angle := float64(p) * math.Pow(10000, -float64(2*i)/float64(s.rotary))
				a.cos, a.sin = append(a.cos, float32(math.Cos(angle))), append(a.sin, float32(math.Sin(angle)))
			}
		}
	}
	if s.gains {
		a.qNorm, a.kNorm = random(s.headDim), random(s.headDim)
	}
	cache := a.slabs * s.pageSize * kw
	a.keys, a.values, a.out = random(cache), random(cache), make([]float32, rows*qw)
	return a
}

// reference is the same in float64, one row and head at a time.
func (a *attention) reference() (out, keys, values []float64) {
	wide := func(s []float32) []float64 {
		v := make([]float64, len(s))
		for i := range s {
			v[i] = float64(s[i])
		}
		return v
	}
	keys, values, out = wide(a.keys), wide(a.values), make([]float64, len(a.out))
	hd, turn := a.headDim, a.turn
	slot := func(span, position, head int) int {
		slab := int(a.table[span*a.columns+position/a.pageSize])*a.layers + a.layer
		return ((slab*a.pageSize+position%a.pageSize)*a.kvHeads + head) * hd
	}
	for s := range a.past {
		for r := int(a.cumulative[s]); r < int(a.cumulative[s+1]) && !a.written; r++ {
			position := int(a.past[s]) + r - int(a.cumulative[s])
			for h := range a.kvHeads {
				at := slot(s, position, h)
				copy(keys[at:at+hd], wide(a.k[r*a.kStride+h*hd:][:hd]))
				turn(keys[at:at+hd], a.kNorm, position)
				copy(values[at:at+hd], wide(a.v[r*a.vStride+h*hd:][:hd]))
			}
		}
		for r := int(a.cumulative[s]); r < int(a.cumulative[s+1]); r++ {
			position := int(a.past[s]) + r - int(a.cumulative[s])
			for h := range a.qHeads {
				q := wide(a.q[r*a.qStride+h*hd:][:hd])
				turn(q, a.qNorm, position)
				a.attendOne(q, keys, values, out[(r*a.qHeads+h)*hd:][:hd], position, a.last(s, position), func(p int) int { return slot(s, p, h/(a.qHeads/a.kvHeads)) })
			}
		}
	}
	return out, keys, values
}

// turn is norm and RoPE of one head, in place.
func (a *attention) turn(x []float64, gain []float32, position int) {
	hd := a.headDim
	norm := func() {
		sq := 0.0
		for _, v := range x {
			sq += v * v
		}
		f := 1 / math.Sqrt(sq/float64(hd)+float64(a.eps))
		for i := range x {
			x[i] *= f
			if gain != nil {
				x[i] *= float64(gain[i])
			}
		}
	}
	if a.qkNorm == 1 {
		norm()
	}
	for i := range a.rotary / 2 {
		p, q := i, i+a.rotary/2
		if a.interleaved {
			p, q = 2*i, 2*i+1
		}
		c, s := float64(a.cos[position*a.rotary/2+i]), float64(a.sin[position*a.rotary/2+i])
		x[p], x[q] = x[p]*c-x[q]*s, x[q]*c+x[p]*s
	}
	if a.qkNorm == 2 {
		norm()
	}
}

// last is the last position that a row sees.
func (a *attention) last(span, position int) int {
	if a.visible != nil {
		return max(position, int(a.visible[span])-1)
	}
	return position
}

func (a *attention) attendOne(q, keys, values, out []float64, position, last int, slot func(int) int) {
	low := 0
	if a.window > 0 {
		low = max(0, position-a.window+1)
	}
	scores, top := make([]float64, last+1), math.Inf(-1)
	for p := low; p <= last; p++ {
		s := 0.0
		for d, k := range keys[slot(p):][:a.headDim] {
			s += q[d] * k
		}
		s *= float64(a.scale)
		if a.softcap > 0 {
			s = float64(a.softcap) * math.Tanh(s/float64(a.softcap))
		}
		scores[p], top = s, max(top, s)
	}
	total := 0.0
	for p := low; p <= last; p++ {
		scores[p] = math.Exp(scores[p] - top)
		total += scores[p]
	}
	for p := low; p <= last; p++ {
		for d, v := range values[slot(p):][:a.headDim] {
			out[d] += scores[p] / total * v
		}
	}
}

func (a *attention) compare(t *testing.T, what string) {
	t.Helper()
	out, keys, values := a.reference()
	if err := a.run(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for _, c := range []struct {
		name string
		got  []float32
		want []float64
	}{{"key cache", a.keys, keys}, {"value cache", a.values, values}, {"output", a.out, out}} {
		for i := range c.want {
			if d := math.Abs(float64(c.got[i]) - c.want[i]); !(d <= 2e-5*(1+math.Abs(c.want[i]))) {
				t.Fatalf("%s: %s[%d] is %v, want %v", what, c.name, i, c.got[i], c.want[i])
			}
		}
	}
}

func TestAttentionEqualsNaiveReference(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range 250 {
			s := anyShape(rng)
			a := newCase(rng, s)
			a.threads = 1 + i%3
			a.compare(t, fmt.Sprintf("case %d %+v", i, s))
		}
	})
}

func TestAttentionOverLongSequences(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, spans := range [][]span{{{2999, 1}}, {{0, 700}}, {{1500, 33}, {3, 1}, {2047, 1}}} {
			for _, visible := range []bool{false, true} {
				s := shape{qHeads: 4, kvHeads: 2, headDim: 32, pageSize: 16, layers: 2, layer: 1, rotary: 32, spans: spans, visible: visible}
				a := newCase(rng, s)
				a.threads = 2
				a.compare(t, fmt.Sprint(spans, a.visible))
			}
		}
	})
}

// Scores far apart, and all below what float32's exp can tell from 0.
func TestAttentionSurvivesExtremeScores(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, factor := range []float32{1e-20, 60, 1e4} {
			a := newCase(rand.New(rand.NewPCG(5, 6)), shape{qHeads: 2, kvHeads: 1, headDim: 16, pageSize: 4, layers: 1, spans: []span{{70, 3}}})
			for i := range a.q {
				a.q[i] *= factor
			}
			a.compare(t, fmt.Sprint(factor))
		}
	})
}

func TestMalformedMetadataTouchesNoMemory(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(a *attention)
		want  string
	}{
		"page outside":        {func(a *attention) { a.table[0] = 1 << 20 }, "block_table[0,0] is 1048576"},
		"page unmapped":       {func(a *attention) { a.table[1] = -1 }, "block_table[0,1] is -1"},
		"negative past":       {func(a *attention) { a.past[1] = -1 }, "past_seqlens[1] is -1"},
		"past too long":       {func(a *attention) { a.past[0] = math.MaxInt32 }, "span 0"},
		"table too short":     {func(a *attention) { a.columns, a.cos = 1, nil; a.table = a.table[:2] }, "block_table has 1 columns"},
		"lengths fall":        {func(a *attention) { a.cumulative[1] = a.cumulative[2] + 1 }, "cumulative_sequence_length[1]"},
		"lengths negative":    {func(a *attention) { a.cumulative[1] = -4 }, "cumulative_sequence_length[1] is -4"},
		"lengths begin late":  {func(a *attention) { a.cumulative[0] = 1 }, "cumulative_sequence_length[0] is 1"},
		"beyond RoPE table":   {func(a *attention) { a.positions = 5 }, "RoPE table ends at 4"},
		"visible unmapped":    {func(a *attention) { a.visible = []int32{0, 13} }, "span 1 needs 4 pages"},
		"visible in a window": {func(a *attention) { a.visible, a.window = []int32{0, 0}, 3 }, "local_window_size of 3 exclude"},
		"odd rotary":          {func(a *attention) { a.rotary = 3 }, "rotary_dim is 3"},
		"heads do not divide": {func(a *attention) { a.kvHeads = 3 }, "not a multiple"},
		"layer outside":       {func(a *attention) { a.layer = 2 }, "layer is 2"},
		"head too wide":       {func(a *attention) { a.headDim = 1024 }, "head_dim is 1024"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newCase(rand.New(rand.NewPCG(7, 8)), shape{qHeads: 4, kvHeads: 2, headDim: 8, pageSize: 4, layers: 2, rotary: 8, spans: []span{{5, 3}, {2, 1}}})
			c.spoil(a)
			keys, values, out := slices.Clone(a.keys), slices.Clone(a.values), slices.Clone(a.out)
			err := a.run()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if !slices.Equal(keys, a.keys) || !slices.Equal(values, a.values) || !slices.Equal(out, a.out) {
				t.Error("memory was touched")
			}
		})
	}
}
