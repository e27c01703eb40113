package dense

import (
	"errors"
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine/native"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Engine runs one bundle of the kind dense. It implements loopctl.Engine.
type Engine struct {
	m      *bundle.Manifest
	limits loopctl.Capacity

	prelude, block, coda stage

	memory         native.Memory // what the buffers stand on
	hidden, inject *ort.Buffer   // each row's latent, and what is injected, between calls: [latents, d]
	in             inputs
	out            outputs
	logits         *ort.Buffer // Coda's result: [rows, vocab]
	views          [][]float32
	delta, gate    []float32 // Block's result, one for each row
	next           *ort.Buffer
	seqs           []seq // of the call under way
	order          []int
}

// leastRows is what a native call can hold at least, so that short sequences go side by side.
const leastRows = 1024

// New opens the bundle's three graphs on env and allocates every buffer. The error names the graph or the option that is at fault; nothing is left open then.
func New(env *ort.Env, b *bundle.Bundle, opt spec.Options) (e *Engine, err error) {
	m := &b.Manifest
	e = &Engine{m: m}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("bundle %s: %w", m.Name, err), e.Close())
			e = nil
		}
	}()
	if m.Kind != bundle.KindDense {
		return e, fmt.Errorf("this engine serves bundles of kind %q, not %q", bundle.KindDense, m.Kind)
	}
	if opt.KVPrecision != kvcache.F32 {
		return e, fmt.Errorf("kv precision %s is not supported by bundles of kind %s, which keep rows in f32: set kv_precision to f32",
			opt.KVPrecision, bundle.KindDense)
	}
	if err := m.RunsOn(env.Provider()); err != nil {
		return e, err
	}
	opt = opt.WithDefaults(m)
	if e.limits, err = opt.Capacity(m); err != nil {
		return e, err
	}
	for i, g := range []struct {
		s    *stage
		spec bundle.Graph
	}{{&e.prelude, m.Prelude}, {&e.block, m.Block}, {&e.coda, m.Coda}} {
		if err := g.s.open(env, b, loopctl.Stage(i), g.spec.File); err != nil {
			return e, err
		}
	}
	return e, e.allocate()
}

// allocate makes every buffer. The system gives physical memory only to what is written.
func (e *Engine) allocate() error {
	l, d := e.limits, e.m.HiddenSize
	rows := max(l.Context, leastRows)
	m := &e.memory
	floats := func(n int) *ort.Buffer { return m.New(n * 4) }
	e.hidden, e.inject = floats(l.Latents*d), floats(l.Latents*d)
	e.next, e.logits = floats(l.MaxRows*d), floats(l.MaxRows*l.Vocab)
	e.in = inputs{
		ids: m.New(rows * 8), positions: m.New(rows * 8), mask: m.New(rows * 8), depth: m.New(rows * 8),
		hidden: floats(rows * d), inject: floats(rows * d),
	}
	e.out = outputs{
		hidden: floats(rows * d), inject: floats(rows * d), delta: floats(rows), gate: floats(rows), logits: floats(rows * l.Vocab),
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

// Manifest is the bundle's.
func (e *Engine) Manifest() *bundle.Manifest { return e.m }

// Latent copies a slot's state, as the last call left it, into dst of hidden_size float32.
func (e *Engine) Latent(slot int32, dst []float32) error {
	if err := spec.CheckLatent(slot, dst, &e.limits, e.m); err != nil {
		return err
	}
	copy(dst, e.slot(e.hidden, slot))
	return nil
}

// FinalHidden is nil: the graphs of the kind dense do not show it.
func (e *Engine) FinalHidden(int) []float32 { return nil }

// slot is a slot's vector.
func (e *Engine) slot(of *ort.Buffer, slot int32) []float32 {
	d := e.m.HiddenSize
	return of.F32()[int(slot)*d : (int(slot)+1)*d : (int(slot)+1)*d]
}

// Close frees sessions and buffers. It is safe on a nil or half-made engine, and more than once.
func (e *Engine) Close() error {
	if e == nil {
		return nil
	}
	return errors.Join(e.prelude.Close(), e.block.Close(), e.coda.Close(), e.memory.Close())
}
