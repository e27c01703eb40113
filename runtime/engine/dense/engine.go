package dense

import (
	"context"
	"errors"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine/native"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Engine runs one bundle of the kind dense. It implements loopctl.Engine.
type Engine struct {
	m      *bundle.Manifest
	limits loopctl.Capacity

	prelude, block, coda stage

	memory         native.Memory // what the buffers stand on
	hidden, inject *ort.Buffer   // each row's latent, and what is injected, between calls: [latents, state width], [latents, d]
	in             inputs
	out            outputs
	logits         *ort.Buffer // Coda's result: [rows, vocab]
	views          [][]float32
	delta, gate    []float32 // Block's result, one for each row
	next           *ort.Buffer
	seqs           []seq // of the call under way
}

// leastRows is what a native call can hold at least, so that short sequences go side by side.
const leastRows = 1024

// New opens the bundle's three graphs on env and allocates every buffer, for calls within limits.
func New(env *ort.Env, b *bundle.Bundle, limits loopctl.Capacity, opt spec.Options) (*Engine, error) {
	e := &Engine{m: &b.Manifest, limits: limits, memory: native.Memory{MapWeights: opt.MapWeights}}
	if err := e.open(env, b); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Engine) open(env *ort.Env, b *bundle.Bundle) error {
	names := [3]string{e.m.Prelude.File, e.m.Block.File, e.m.Coda.File}
	raw, files, err := e.memory.Read(b)
	if err != nil {
		return err
	}
	for i, s := range []*stage{&e.prelude, &e.block, &e.coda} {
		if err := s.open(env, names[i], raw[i], files, loopctl.Stage(i)); err != nil {
			return err
		}
	}
	return e.allocate()
}

// allocate makes every buffer. The system gives physical memory only to what is written.
func (e *Engine) allocate() error {
	l, d, state := e.limits, e.m.HiddenSize, e.m.StateWidth()
	rows := max(l.Context, leastRows)
	m := &e.memory
	floats := func(n int) *ort.Buffer { return m.New(n * 4) }
	e.hidden, e.inject = floats(l.Latents*state), floats(l.Latents*d)
	e.next, e.logits = floats(l.MaxRows*state), floats(l.MaxRows*l.Vocab)
	e.in = inputs{
		ids: m.New(rows * 8), positions: m.New(rows * 8), mask: m.New(rows * 8), depth: m.New(rows * 8),
		hidden: floats(rows * state), inject: floats(rows * d),
	}
	e.out = outputs{
		hidden: floats(rows * state), inject: floats(rows * d), delta: floats(rows), gate: floats(rows), logits: floats(rows * l.Vocab),
	}
	for i, s := range []*stage{&e.prelude, &e.block, &e.coda} {
		s.rows = rows
		if l.Pages[i] > 0 {
			s.pages = arena{width: spec.RowWidth(e.m, loopctl.Stage(i)), pageSize: l.PageSize}
			s.pages.mem = floats(l.Pages[i] * l.PageSize * s.pages.width)
		}
	}
	e.delta, e.gate = make([]float32, l.MaxRows), make([]float32, l.MaxRows)
	e.views = make([][]float32, 0, l.MaxRows)
	return m.Err()
}

// Capacity says what the engine holds.
func (e *Engine) Capacity() loopctl.Capacity { return e.limits }

// Interrupt implements loopctl.Interrupter.
func (e *Engine) Interrupt() { native.Interrupt(&e.prelude.Graph, &e.block.Graph, &e.coda.Graph) }

// Manifest is the bundle's.
func (e *Engine) Manifest() *bundle.Manifest { return e.m }

// Latent copies the first hidden_size numbers of a slot's state, as the last call left it, into dst.
func (e *Engine) Latent(slot int32, dst []float32) error {
	if err := spec.CheckLatent(slot, dst, &e.limits, e.m); err != nil {
		return err
	}
	copy(dst, e.state(slot))
	return nil
}

// FinalHidden is nil: the graphs of the kind dense do not show it.
func (e *Engine) FinalHidden(int) []float32 { return nil }

// state is a slot's latent, and injected what its loops read beside it.
func (e *Engine) state(slot int32) []float32    { return vector(e.hidden, slot, e.m.StateWidth()) }
func (e *Engine) injected(slot int32) []float32 { return vector(e.inject, slot, e.m.HiddenSize) }

func vector(of *ort.Buffer, slot int32, n int) []float32 {
	return of.F32()[int(slot)*n : (int(slot)+1)*n : (int(slot)+1)*n]
}

// Settle reads weights into memory that are still mapped.
func (e *Engine) Settle(ctx context.Context) (bytes int, err error) { return e.memory.Settle(ctx) }

// Close frees sessions and buffers. It is safe on a nil or half-made engine, and more than once.
func (e *Engine) Close() error {
	if e == nil {
		return nil
	}
	return errors.Join(e.prelude.Close(), e.block.Close(), e.coda.Close(), e.memory.Close())
}
