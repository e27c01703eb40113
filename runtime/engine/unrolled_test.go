//go:build cgo

package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
	"github.com/loopserve/loopserve/runtime/engine/native"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// unrolled runs L loops of a block as one graph, on memory of its own, for the lanes of an engine.
type unrolled struct {
	call               *ort.Call
	arena              *kvcache.Arena
	hidden, out, delta *ort.Buffer
	cumulative, past   *ort.Buffer
	tables             []*ort.Buffer // by loop
	tableIn            []int         // their inputs
	rows, width        int
}

// unroll exports the graph of so many loops into the bundle's folder, loads it, and binds what never changes.
func unroll(tb testing.TB, env *ort.Env, e engine.Engine, dir string, loops, rows int) *unrolled {
	tb.Helper()
	b, err := bundle.Open(dir, bundle.Options{SkipHash: true})
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(dir, fmt.Sprintf("unrolled_%d.onnx", loops))
	if err := writeUnrolled(b, file, loops); err != nil {
		tb.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var memory native.Memory
	_, files, err := memory.Read(b)
	if err != nil {
		tb.Fatal(err)
	}
	session, err := env.LoadBytes(file, raw, ort.SessionOptions{Files: files})
	if err != nil {
		tb.Fatal(err)
	}
	m := &b.Manifest
	u := &unrolled{rows: rows, width: m.HiddenSize}
	tb.Cleanup(func() {
		for _, b := range append(u.tables, u.hidden, u.out, u.delta, u.cumulative, u.past) {
			b.Close()
		}
		u.call.Close()
		u.arena.Close()
		session.Close()
		memory.Close()
	})
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	buffer := func(bytes int) *ort.Buffer {
		b, err := ort.NewBuffer(bytes)
		must(err)
		return b
	}
	l := e.Capacity()
	u.call, err = session.NewCall()
	must(err)
	u.arena, err = kvcache.New(session, l.Pages[loopctl.StageBlock], kvcache.Shape{
		Layers: m.Block.Layers, PageSize: l.PageSize, KVHeads: m.Attention.KVHeads, HeadDim: m.Attention.HeadDim,
	})
	must(err)
	u.hidden, u.out, u.delta = buffer(rows*u.width*4), buffer(rows*u.width*4), buffer(loops*rows*4)
	u.cumulative, u.past = buffer((rows+1)*4), buffer(rows*4)
	for i := range rows + 1 {
		u.cumulative.I32()[i] = int32(i)
	}
	n, d := int64(rows), int64(u.width)
	slabs, size, heads, dim := u.arena.Dims()
	u.call.In(session.Input("hidden"), u.hidden, n, d)
	u.call.In(session.Input("key_cache"), u.arena.Key, slabs, size, heads, dim)
	u.call.In(session.Input("value_cache"), u.arena.Value, slabs, size, heads, dim)
	u.call.In(session.Input("cumulative_sequence_length"), u.cumulative, n+1)
	u.call.In(session.Input("past_seqlens"), u.past, n)
	u.call.Out(session.Output("hidden_out"), u.out, n, d)
	for t := range loops {
		u.tables = append(u.tables, buffer(rows*l.Context*4))
		u.tableIn = append(u.tableIn, session.Input(fmt.Sprintf("block_table_%d", t)))
		u.call.Out(session.Output(fmt.Sprintf("delta_%d", t)), u.delta, n)
	}
	return u
}

// place gives the graph the lanes' position and page tables.
func (u *unrolled) place(s *lanes) {
	for i := range u.rows {
		u.past.I32()[i] = int32(s.past)
	}
	for t, table := range u.tables {
		b := s.at(t)
		columns := len(b.Spans[0].Pages)
		for i := range b.Spans {
			copy(table.I32()[i*columns:], b.Spans[i].Pages)
		}
		u.call.In(u.tableIn[t], table, int64(u.rows), int64(columns))
	}
}

// take copies the lanes' latents from the engine.
func (u *unrolled) take(tb testing.TB, e engine.Engine) {
	for i := range u.rows {
		if err := e.Latent(int32(i), u.hidden.F32()[i*u.width:(i+1)*u.width]); err != nil {
			tb.Fatal(err)
		}
	}
}

// The unrolled graph gives what the same number of block calls from Go give, token after token.
func TestUnrolledEqualsTheLoop(t *testing.T) {
	ort.CheckLeaks(t)
	env := openEnv(t)
	made := filepath.Join(t.TempDir(), "random")
	exportRandom(t, random.LoopedLlama{Hidden: 48, Heads: 4, KVHeads: 2, FFN: 80, Vocab: 64, Loop: 3, Context: 64}, export.F32, made)
	for name, dir := range map[string]string{"adder": copyOfAdder(t), "random 3⊗5": made} {
		t.Run(name, func(t *testing.T) {
			const rows, loops = 3, 5
			e := openEngine(t, env, dir, engine.Options{PageSize: 4})
			s := newLanes(t, e, rows, loops, 0)
			u := unroll(t, env, e, dir, loops, rows)
			latent := make([]float32, u.width)
			for s.past < 11 {
				if err := e.Prelude(s.at(0)); err != nil {
					t.Fatal(err)
				}
				u.place(s)
				u.take(t, e)
				if err := u.call.Run(); err != nil {
					t.Fatal(err)
				}
				for depth := range loops {
					if _, err := e.Block(s.at(depth)); err != nil {
						t.Fatal(err)
					}
				}
				for i := range rows {
					if err := e.Latent(int32(i), latent); err != nil {
						t.Fatal(err)
					}
					if got := u.out.F32()[i*u.width : (i+1)*u.width]; !slices.Equal(got, latent) {
						t.Fatalf("position %d, lane %d: %v unrolled, %v looped", s.past, i, got[:4], latent[:4])
					}
				}
				s.past++
			}
		})
	}
}

// copyOfAdder is a folder that may be written to.
func copyOfAdder(tb testing.TB) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "adder")
	if err := os.CopyFS(dir, os.DirFS(adder)); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func exportRandom(tb testing.TB, size random.LoopedLlama, weights, out string) {
	tb.Helper()
	hf := filepath.Join(tb.TempDir(), "checkpoint")
	if err := size.Write(hf, 1); err != nil {
		tb.Fatal(err)
	}
	if _, err := export.Export(tb.Context(), hf, out, export.Options{Exporter: "test", Weights: weights}); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkGoLoop is what the loop in Go costs (docs/adr/0003): L block calls from Go, with packing, gathering and
// scattering, against one call of a graph that applies the block L times, in turn. ns/op is both together.
func BenchmarkGoLoop(b *testing.B) {
	big := random.LoopedLlama{Hidden: 1024, Heads: 16, FFN: 2816, Vocab: 32000, Loop: 4, Context: 512}
	for _, c := range []struct {
		name    string
		weights string // of a random checkpoint; "": the shipped model
		loops   int
		rows    []int
		past    int
	}{
		{"adder/L=8", "", 8, []int{1, 16}, 30},
		{"adder/L=12", "", 12, []int{1, 16}, 30},
		{"hidden=1024/f32/L=4", export.F32, 4, []int{1, 8}, 200},
		{"hidden=1024/int4/L=4", export.Int4, 4, []int{1, 8}, 200},
	} {
		b.Run(c.name, func(b *testing.B) {
			dir := copyOfAdder(b)
			if c.weights != "" {
				dir = filepath.Join(b.TempDir(), "bundle")
				exportRandom(b, big, c.weights, dir)
			}
			for _, threads := range []int{1, 2} {
				for _, rows := range c.rows {
					b.Run(fmt.Sprintf("threads=%d/rows=%d", threads, rows), func(b *testing.B) {
						goLoop(b, enginetest.Env(b, threads), dir, c.loops, rows, c.past, c.weights != "")
					})
				}
			}
		})
	}
}

func goLoop(b *testing.B, env *ort.Env, dir string, loops, rows, past int, twice bool) {
	// Where a session's weights happen to lie in memory moves a bandwidth-bound model by as much as 15 %: two engines,
	// one loaded before the graph and one after, take turns. A model that fits the cache would only be thrown out of it.
	var both [2]*lanes
	open := func() *lanes {
		return newLanes(b, openEngine(b, env, dir, engine.Options{MaxRows: rows}), rows, loops, past)
	}
	both[0] = open()
	u := unroll(b, env, both[0].e, dir, loops, rows)
	both[1] = both[0]
	if twice {
		both[1] = open()
	}
	for _, s := range both {
		if err := s.e.Prelude(s.at(0)); err != nil {
			b.Fatal(err)
		}
	}
	u.place(both[0])
	u.take(b, both[0].e)
	var loop, graph stopwatch
	turn := 0
	inGo := func() error {
		s := both[turn/2%2]
		e := s.e
		turn++
		for depth := range loops {
			if _, err := e.Block(s.at(depth)); err != nil {
				return err
			}
		}
		return nil
	}
	var pairs []float64
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		var err error
		if i%2 == 0 { // whoever is second finds warmer caches, or colder ones
			err = errors.Join(loop.time(inGo), graph.time(u.call.Run))
		} else {
			err = errors.Join(graph.time(u.call.Run), loop.time(inGo))
		}
		if err != nil {
			b.Fatal(err)
		}
		pairs = append(pairs, loop.last.Seconds()/graph.last.Seconds())
	}
	slices.Sort(pairs)
	// Three ratios, since others may share the machine: the median feels them all, the fastest turns the least, and
	// processor time counts this process's work alone.
	b.ReportMetric(1e6*loop.fastest.Seconds(), "go-µs")
	b.ReportMetric(1e6*graph.fastest.Seconds(), "unrolled-µs")
	b.ReportMetric(loop.fastest.Seconds()/graph.fastest.Seconds(), "ratio-fastest")
	b.ReportMetric(pairs[len(pairs)/2], "ratio-median")
	b.ReportMetric(loop.processor.Seconds()/graph.processor.Seconds(), "ratio-cpu")
}

// stopwatch times one of two that take turns.
type stopwatch struct {
	last, fastest time.Duration // of a turn
	processor     time.Duration // processor time of all turns
}

func (s *stopwatch) time(turn func() error) error {
	used, began := processorTime(), time.Now()
	err := turn()
	s.last = time.Since(began)
	s.processor += processorTime() - used
	if s.fastest == 0 || s.last < s.fastest {
		s.fastest = s.last
	}
	return err
}

// processorTime is what the process's threads have used in all.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
