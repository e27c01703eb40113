//go:build cgo

package engine_test

import (
	"fmt"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/engine"
)

// lanes are sequences that decode in step, one row each, through a model whose layers are all in the block: what the
// engine costs without a scheduler.
type lanes struct {
	e      engine.Engine
	loops  int
	past   int
	batch  loopctl.Batch
	tables [][][]int32 // by lane and loop
}

// newLanes starts n lanes at position past of the KV memory as it is: zeros attend as fast as anything else.
func newLanes(tb testing.TB, e engine.Engine, n, loops, past int) *lanes {
	tb.Helper()
	l := e.Capacity()
	perPlane := (l.Context + l.PageSize - 1) / l.PageSize
	if need := n * loops * perPlane; need > l.Pages[loopctl.StageBlock] {
		tb.Fatalf("%d lanes at %d loops take %d pages, there are %d", n, loops, need, l.Pages[loopctl.StageBlock])
	}
	s := &lanes{e: e, loops: loops, past: past, batch: loopctl.Batch{Rows: n}}
	page := int32(0)
	for i := range n {
		planes := make([][]int32, loops)
		for t := range planes {
			for range perPlane {
				planes[t] = append(planes[t], page)
				page++
			}
		}
		s.tables = append(s.tables, planes)
		s.batch.Spans = append(s.batch.Spans, loopctl.Span{Rows: []int32{int32(i)}, Tokens: []int32{int32(i % 8)}, LogitRows: []int32{0}})
	}
	return s
}

// at makes the batch one of the loop after depth loops.
func (s *lanes) at(depth int) *loopctl.Batch {
	pages := s.past/s.e.Capacity().PageSize + 1
	for i := range s.batch.Spans {
		span := &s.batch.Spans[i]
		span.Depth, span.Past, span.Pages = depth, s.past, s.tables[i][depth][:pages]
	}
	return &s.batch
}

// step gives every lane its next token's logits.
func (s *lanes) step() ([][]float32, error) {
	if err := s.e.Prelude(s.at(0)); err != nil {
		return nil, err
	}
	for depth := range s.loops {
		if _, err := s.e.Block(s.at(depth)); err != nil {
			return nil, err
		}
	}
	s.past++
	return s.e.Coda(&s.batch)
}

// In the steady state a call allocates nothing in Go, whatever its shape: the buffers are there, shapes are written
// into C memory.
func TestCallsAllocateNothing(t *testing.T) {
	e := openEngine(t, openEnv(t), adder, engine.Options{})
	var all []*lanes
	for _, n := range []int{1, 8, 3, 16, 2} {
		all = append(all, newLanes(t, e, n, 4, 30))
	}
	got := testing.AllocsPerRun(20, func() {
		for _, s := range all {
			s.past = 10 + (s.past+7)%50
			if _, err := s.step(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if got != 0 {
		t.Errorf("%v allocations in %d tokens of changing shapes, want 0", got, len(all))
	}
}

// BenchmarkDecode is the engine alone at 8 loops a token: lanes decode in step, from position 16 to the context's end.
func BenchmarkDecode(b *testing.B) {
	env := openEnv(b)
	for _, n := range []int{1, 4, 8} {
		b.Run(fmt.Sprintf("C=%d", n), func(b *testing.B) {
			e := openEngine(b, env, adder, engine.Options{})
			s := newLanes(b, e, n, e.Capacity().Loops.Default, 16)
			b.ReportAllocs()
			for b.Loop() {
				if s.past == e.Capacity().Context {
					s.past = 16
				}
				if _, err := s.step(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
