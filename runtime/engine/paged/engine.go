package paged

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

// Engine runs one bundle. It implements loopctl.Engine.
type Engine struct {
	m      *bundle.Manifest
	opt    spec.Options
	limits loopctl.Capacity

	prelude, block, coda stage

	state  initialState
	hidden slots // each row's latent between calls
	inject slots // what the prelude injects; empty where the model does not
	meta   metadata
	rows   rowBuffers
	views  [][]float32 // Coda's result: one view of the logits for each row
	filler filler
	memory native.Memory // what the buffers stand on
}

// New opens the bundle's three graphs on env and allocates every buffer. The error names the graph or the option that
// is at fault; nothing is left open then.
func New(env *ort.Env, b *bundle.Bundle, opt spec.Options) (e *Engine, err error) {
	m := &b.Manifest
	if m.Kind != bundle.KindPaged {
		return nil, fmt.Errorf("bundle %s: this engine serves bundles of kind %q, not %q", m.Name, bundle.KindPaged, m.Kind)
	}
	if err := m.RunsOn(env.Provider()); err != nil {
		return nil, err
	}
	opt = opt.WithDefaults(m)
	e = &Engine{m: m, opt: opt, filler: newFiller()}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("bundle %s: %w", m.Name, err), e.Close())
			e = nil
		}
	}()
	if opt.KVPrecision != kvcache.F32 && (m.Precision.Activations != "f32" || env.Provider() != ort.ProviderCPU) {
		return e, fmt.Errorf("kv precision %s requires a bundle in f32 on a CPU, but this one keeps its KV in %s (provider %s): set kv_precision to f32",
			opt.KVPrecision, m.Precision.Activations, env.Provider())
	}
	if e.limits, err = opt.Capacity(m); err != nil {
		return e, err
	}
	shapes := spec.Shapes(m, opt.PageSize, opt.KVPrecision)
	for i, g := range []struct {
		s    *stage
		spec bundle.Graph
	}{{&e.prelude, m.Prelude}, {&e.block, m.Block}, {&e.coda, m.Coda}} {
		if err := g.s.open(env, b, loopctl.Stage(i), g.spec, e.limits.Pages[i], shapes[i]); err != nil {
			return e, err
		}
	}
	return e, e.allocate()
}

func (e *Engine) elementSize() int {
	if e.m.Precision.Activations == "f32" {
		return 4
	}
	return 2
}

// Capacity says what the engine holds.
func (e *Engine) Capacity() loopctl.Capacity { return e.limits }

// Manifest is the bundle's.
func (e *Engine) Manifest() *bundle.Manifest { return e.m }

// Close frees sessions and buffers. It is safe on a nil or half-made engine, and more than once.
func (e *Engine) Close() error {
	if e == nil {
		return nil
	}
	return errors.Join(e.prelude.close(), e.block.close(), e.coda.close(), e.memory.Close())
}
