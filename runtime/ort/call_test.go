//go:build cgo

package ort

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCallRunsAtTheShapeOfTheMoment(t *testing.T) {
	CheckLeaks(t)
	_, c := sum().load(t)
	x, y := buffer(t, 64*8), buffer(t, 64*8)
	for i := range x.F32() {
		x.F32()[i] = float32(i)
	}
	for _, rows := range []int64{1, 64, 3, 3, 0, 2} {
		clear(y.F32())
		c.In(0, x, rows, 2)
		c.Out(0, y, rows, 2)
		if err := c.Run(); err != nil {
			t.Fatalf("%d rows: %v", rows, err)
		}
		for i, got := range y.F32() {
			if want := float32(2 * i); int64(i) < 2*rows && got != want || int64(i) >= 2*rows && got != 0 {
				t.Fatalf("%d rows: y[%d] = %g", rows, i, got)
			}
		}
	}
}

// The hot path: shapes change from run to run, and Go allocates nothing.
func TestRunAllocatesNothing(t *testing.T) {
	s, c := sum().load(t)
	x, y := buffer(t, 64*8), buffer(t, 64*8)
	in, out := s.Input("x"), s.Output("y")
	rows := int64(0)
	if n := testing.AllocsPerRun(200, func() {
		rows = rows%64 + 1
		c.In(in, x, rows, 2)
		c.Out(out, y, rows, 2)
		if err := c.Run(); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%g allocations a run", n)
	}
}

func TestWrongBindingsAreErrorsAndTheCallGoesOn(t *testing.T) {
	CheckLeaks(t)
	_, c := sum().load(t)
	x, y := buffer(t, 16), buffer(t, 16)
	closed, err := NewBuffer(16)
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	good := func() { c.In(0, x, 2, 2); c.Out(0, y, 2, 2) }
	for _, test := range []struct {
		name string
		bind func()
		says string
	}{
		{"too many rows for the buffer", func() { c.In(0, x, 3, 2) }, "x: shape [3 2] of 4-byte elements does not fit into a buffer of 16 bytes"},
		{"a negative dimension", func() { c.In(0, x, -1, 2) }, "x: shape [-1 2]"},
		{"a product that overflows", func() { c.In(0, x, 1<<62, 1<<62) }, "does not fit"},
		{"a product that overflows after a 0", func() { c.In(0, x, 0, 1<<62) }, "invalid dimensions"},
		{"nine dimensions", func() { c.In(0, x, 1, 1, 1, 1, 1, 1, 1, 1, 1) }, "more than 8 dimensions"},
		{"no buffer", func() { c.Out(0, nil, 2, 2) }, "y: the buffer is closed"},
		{"a closed buffer", func() { c.Out(0, closed, 2, 2) }, "y: the buffer is closed"},
		{"another width than the graph's", func() { c.In(0, x, 4, 1) }, "invalid dimensions"},
		{"another rank than the graph's", func() { c.In(0, x, 4) }, "Invalid rank"},
		{"an output of another shape than comes out", func() { c.Out(0, y, 1, 2) }, "shape"},
	} {
		good()
		test.bind()
		err := c.Run()
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %q in it", test.name, err, test.says)
		}
		good()
		if err := c.Run(); err != nil {
			t.Errorf("after %s: %v", test.name, err)
		}
	}
}

func TestRunAfterClose(t *testing.T) {
	CheckLeaks(t)
	s, err := open(t).Load(sum().file(t), SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.NewCall()
	if err != nil {
		t.Fatal(err)
	}
	x, y := buffer(t, 8), buffer(t, 8)
	c.In(0, x, 1, 2)
	c.Out(0, y, 1, 2)
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "1 calls") {
		t.Errorf("a session closes under its call: %v", err)
	}
	if err := c.Run(); err != nil { // the refused Close changed nothing
		t.Error(err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Run(); err == nil || !strings.Contains(err.Error(), "x: the buffer is closed") {
		t.Errorf("a run over closed memory: %v", err)
	}
	if err := errors.Join(c.Close(), c.Close(), s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	c.In(0, y, 1, 2)
	if err := c.Run(); err == nil {
		t.Error("a closed call runs")
	}
	if _, err := s.NewCall(); err == nil {
		t.Error("a closed session makes a call")
	}
}

func TestAPlaceThatIsNoInput(t *testing.T) {
	s, c := sum().load(t)
	c.In(s.Input("hidden"), buffer(t, 8), 1, 2)
	if err := c.Run(); err == nil || !strings.Contains(err.Error(), "the graph has no input -1: it has 1") {
		t.Errorf("error %v", err)
	}
}

func TestEverythingClosesOnNil(t *testing.T) {
	if err := errors.Join((*Env)(nil).Close(), (*Session)(nil).Close(), (*Call)(nil).Close(), (*Buffer)(nil).Close()); err != nil {
		t.Error(err)
	}
}

// What one crossing costs: a graph of one tiny node, so that nearly all of it is ONNX Runtime's and ours.
func BenchmarkRun(b *testing.B) {
	for _, moving := range []bool{false, true} {
		name := "same-shape"
		if moving {
			name = "new-shape"
		}
		b.Run(name, func(b *testing.B) {
			_, c := sum().load(b)
			x, y := buffer(b, 64*8), buffer(b, 64*8)
			b.ReportAllocs()
			rows := int64(1)
			for b.Loop() {
				if moving {
					rows = rows%8 + 1
				}
				c.In(0, x, rows, 2)
				c.Out(0, y, rows, 2)
				if err := c.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A run that takes too long ends with an error when it is asked to, and the same call runs again.
func TestInterrupt(t *testing.T) {
	CheckLeaks(t)
	const steps = 400
	g := sum()
	g.inputs[0].dims, g.outputs[0].dims = []any{"rows", "columns"}, []any{"rows", "columns"}
	for i := range steps { // one node after the other
		from, to := "y"+strconv.Itoa(i-1), "y"+strconv.Itoa(i)
		if i == 0 {
			from, g.nodes = "x", nil
		}
		if i == steps-1 {
			to = "y"
		}
		g.nodes = append(g.nodes, node{op: "MatMul", inputs: []string{from, "x"}, outputs: []string{to}})
	}
	_, c := g.load(t)
	const n = 768
	in, out := buffer(t, 4*n*n), buffer(t, 4*n*n)
	c.In(0, in, n, n)
	c.Out(0, out, n, n)
	time.AfterFunc(20*time.Millisecond, c.Interrupt)
	if err := c.Run(); err == nil || !strings.Contains(strings.ToLower(err.Error()), "terminate") {
		t.Errorf("interrupted: %v", err)
	}
	small, less := buffer(t, 16), buffer(t, 16)
	c.In(0, small, 2, 2)
	c.Out(0, less, 2, 2)
	if err := c.Run(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
