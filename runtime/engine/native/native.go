// Package native is what engines of both kinds hold of ONNX Runtime: graphs whose inputs and outputs are bound by name,
// and buffers that are freed together.
package native

import (
	"errors"
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Graph is one graph of a bundle: its session, and a prepared call of it.
type Graph struct {
	Session *ort.Session
	call    *ort.Call
}

// Open loads the graph of a stage. What was opened before an error is left for Close.
func (g *Graph) Open(which loopctl.Stage, load func() (*ort.Session, error)) (err error) {
	if g.Session, err = load(); err != nil {
		return fmt.Errorf("load %s: %w", which, err)
	}
	if g.call, err = g.Session.NewCall(); err != nil {
		return fmt.Errorf("%s: %w", which, err)
	}
	return nil
}

// Interrupt has the run of any of the graphs end early with an error. Any goroutine may call it until they are closed.
func Interrupt(graphs ...*Graph) {
	for _, g := range graphs {
		g.call.Interrupt()
	}
}

// Reads says whether the graph has an input of that name.
func (g *Graph) Reads(name string) bool { return g.Session.Input(name) >= 0 }

// Gives says whether the graph has an output of that name.
func (g *Graph) Gives(name string) bool { return g.Session.Output(name) >= 0 }

// In binds an input to the beginning of b. One that the graph does not have is left out: which ones it must have, the
// bundle's check has seen to.
func (g *Graph) In(name string, b *ort.Buffer, shape ...int64) {
	if i := g.Session.Input(name); i >= 0 {
		g.call.In(i, b, shape...)
	}
}

// Out binds an output, as In does an input.
func (g *Graph) Out(name string, b *ort.Buffer, shape ...int64) {
	if i := g.Session.Output(name); i >= 0 {
		g.call.Out(i, b, shape...)
	}
}

// Run runs the graph once.
func (g *Graph) Run() error { return g.call.Run() }

// Close frees the session. It is safe on a graph that was never opened, and more than once.
func (g *Graph) Close() error { return errors.Join(g.call.Close(), g.Session.Close()) }

// Memory is the buffers of one engine.
type Memory struct {
	buffers []*ort.Buffer
	err     error
}

// New allocates a buffer. After an error, which Err has, it gives nil.
func (m *Memory) New(bytes int) *ort.Buffer {
	if m.err != nil {
		return nil
	}
	b, err := ort.NewBuffer(bytes)
	m.buffers, m.err = append(m.buffers, b), err
	return b
}

// Read reads a bundle's graphs, held to the contract once more, and the files of their tensors into memory: what becomes of
// the files later changes nothing.
func (m *Memory) Read(b *bundle.Bundle) (graphs [3][]byte, files map[string]*ort.Buffer, err error) {
	files = map[string]*ort.Buffer{}
	for i, g := range []bundle.Graph{b.Manifest.Prelude, b.Manifest.Block, b.Manifest.Coda} {
		var names []string
		if graphs[i], names, err = b.Graph(g.File); err != nil {
			return graphs, nil, err
		}
		for _, name := range names {
			if files[name] != nil {
				continue
			}
			files[name] = m.New(int(b.Manifest.Files[name].Size))
			if m.err != nil {
				return graphs, nil, m.err
			}
			if err := b.Load(name, files[name].Bytes()); err != nil {
				return graphs, nil, err
			}
		}
	}
	return graphs, files, nil
}

// Err is the first error of New.
func (m *Memory) Err() error { return m.err }

// Close frees all buffers. It may be called more than once.
func (m *Memory) Close() error {
	var errs []error
	for _, b := range m.buffers {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}
