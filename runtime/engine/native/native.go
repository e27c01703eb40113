// Package native is what engines of both kinds hold of ONNX Runtime: graphs whose inputs and outputs are bound by name,
// and buffers that are freed together.
package native

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

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
	// MapWeights has Read map large files instead of reading them: Settle does that later.
	MapWeights bool

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
// the files later changes nothing, unless they are mapped.
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
			if err := b.Load(name, func(f *os.File, size int) ([]byte, error) {
				weights, err := m.file(f, size)
				if err != nil {
					return nil, err
				}
				files[name] = weights
				return weights.Bytes(), nil
			}); err != nil {
				return graphs, nil, err
			}
		}
	}
	return graphs, files, nil
}

// mapFrom is the size of files from which on mapping them is worth it: a smaller one is read in a few milliseconds.
const mapFrom = 64 << 20

// file is a buffer with what a file has.
func (m *Memory) file(f *os.File, size int) (*ort.Buffer, error) {
	if m.MapWeights && size >= mapFrom {
		if b, err := ort.MapFile(f, size); err == nil { // some file systems map nothing
			m.buffers = append(m.buffers, b)
			return b, nil
		}
	}
	b := m.New(size)
	if m.err != nil {
		return nil, m.err
	}
	return b, read(f, b.Bytes())
}

// read fills into with a file's beginning. Several threads do it, since most of the time goes into zeroing new pages.
func read(f *os.File, into []byte) error {
	var reading sync.WaitGroup
	parts := runtime.GOMAXPROCS(0)
	errs, each := make([]error, parts), (len(into)/parts/align+1)*align
	for i := range parts {
		from, to := min(i*each, len(into)), min((i+1)*each, len(into))
		reading.Go(func() { _, errs[i] = io.ReadFull(io.NewSectionReader(f, int64(from), int64(to-from)), into[from:to]) })
	}
	reading.Wait()
	return cmp.Or(errs...)
}

// align keeps two threads from zeroing one page.
const align = 2 << 20

// Settle reads the files that were mapped into memory, while calls run, unless ctx or Close ends it: then they have pages of
// the best size, and what becomes of the files changes nothing any more. It says how many bytes it has read.
func (m *Memory) Settle(ctx context.Context) (bytes int, err error) {
	for _, b := range m.buffers {
		n, wrong := b.Settle(ctx)
		bytes, err = bytes+n, errors.Join(err, wrong)
	}
	return bytes, err
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
