//go:build cgo

package ort

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// tower is layers of hidden = hidden · W, as heavy on memory as the feed-forward parts of a small model.
func tower(layers, width int) graph {
	g := graph{
		inputs:  []value{{"x0", Float32, []any{"rows", width}}},
		outputs: []value{{fmt.Sprintf("x%d", layers), Float32, []any{"rows", width}}},
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for l := range layers {
		w := weight{name: fmt.Sprintf("w%d", l), rows: width, columns: width, data: make([]float32, width*width)}
		for i := range w.data {
			w.data[i] = rng.Float32() / float32(width)
		}
		g.weights = append(g.weights, w)
		g.nodes = append(g.nodes, node{op: "MatMul", inputs: []string{fmt.Sprintf("x%d", l), w.name}, outputs: []string{fmt.Sprintf("x%d", l+1)}})
	}
	return g
}

// BenchmarkPools is the measurement behind docs/adr/0001: a token's way through a prelude, four loops of a block and a
// coda, each its own session. With a pool for each session, the threads of the last one spin on the cores that the next
// one needs.
func BenchmarkPools(b *testing.B) {
	for _, pool := range []struct {
		name      string
		own, spin bool
	}{
		{"one-pool", false, false}, {"one-pool-spinning", false, true}, {"pool-per-session", true, false},
	} {
		for _, width := range []int{256, 1024} {
			b.Run(fmt.Sprintf("%s/width-%d", pool.name, width), func(b *testing.B) {
				e, err := Open(Options{Spin: pool.spin})
				if err != nil {
					b.Fatal(err)
				}
				defer e.Close()
				x := buffer(b, 4*width)
				y := buffer(b, 4*width)
				var calls []*Call
				for _, layers := range []int{1, 4, 2} { // prelude, block, coda
					s, err := e.Load(tower(layers, width).file(b), SessionOptions{ownPool: pool.own})
					if err != nil {
						b.Fatal(err)
					}
					defer s.Close()
					c, err := s.NewCall()
					if err != nil {
						b.Fatal(err)
					}
					defer c.Close()
					c.In(0, x, 1, int64(width))
					c.Out(0, y, 1, int64(width))
					calls = append(calls, c)
				}
				b.ReportAllocs()
				for b.Loop() {
					for _, i := range []int{0, 1, 1, 1, 1, 2} {
						if err := calls[i].Run(); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
