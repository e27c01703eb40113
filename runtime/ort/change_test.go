//go:build cgo

package ort

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func changeGraph() graph {
	return graph{
		inputs:  []value{{"before", Float32, []any{"rows", "width"}}, {"after", Float32, []any{"rows_after", "width_after"}}},
		outputs: []value{{"delta", Float32, []any{"rows_out"}}},
		nodes:   []node{{domain: "loopserve", op: "RelativeChange", inputs: []string{"before", "after"}, outputs: []string{"delta"}}},
	}
}

// newChange is a call of a graph with one RelativeChange of states [rows, width].
func newChange(t *testing.T, before, after []float32, rows, width int) (*Call, []float32) {
	t.Helper()
	_, c := changeGraph().load(t)
	in, out, delta := buffer(t, 4*max(len(before), rows)), buffer(t, 4*max(len(after), rows)), buffer(t, 4*rows)
	copy(in.F32(), before)
	copy(out.F32(), after)
	c.In(0, in, int64(rows), int64(width))
	c.In(1, out, int64(rows), int64(len(after)/rows))
	c.Out(0, delta, int64(rows))
	return c, delta.F32()
}

// Against plain arithmetic, with widths that fill no vector, a state of zeros, one that did not move and one of nothing; a row
// is the same to the bit alone and in company.
func TestRelativeChange(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, width := range []int{0, 1, 15, 16, 17, 1000, 4096} {
		const rows = 70
		before, after := make([]float32, rows*width), make([]float32, rows*width)
		for i := range before {
			before[i] = float32(rng.NormFloat64())
			after[i] = before[i] + float32(rng.NormFloat64()/8)
		}
		copy(after[width:2*width], before[width:])
		clear(after[2*width : 3*width])
		c, got := newChange(t, before, after, rows, width)
		if err := c.Run(); err != nil {
			t.Fatal(err)
		}
		for r := range rows {
			moved, size := 0.0, 0.0
			for i := r * width; i < (r+1)*width; i++ {
				d := float64(after[i]) - float64(before[i])
				moved += d * d
				size += float64(after[i]) * float64(after[i])
			}
			want := math.Sqrt(moved) / max(math.Sqrt(size), 1e-30)
			if math.Abs(float64(got[r])-want) > 1e-5*want {
				t.Errorf("row %d of width %d: %g, want %g", r, width, got[r], want)
			}
		}
		alone, one := newChange(t, before[5*width:6*width], after[5*width:6*width], 1, width)
		if err := alone.Run(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one, got[5:6]) {
			t.Errorf("width %d: a row alone is %g, in company %g", width, one[0], got[5])
		}
	}
}

func TestRelativeChangeRefusesOtherShapes(t *testing.T) {
	c, _ := newChange(t, make([]float32, 8), make([]float32, 10), 2, 4)
	if err := c.Run(); err == nil || !strings.Contains(err.Error(), "before is [2, 4], after is [2, 5], must be of one shape") {
		t.Errorf("states of two widths: %v", err)
	}
}
