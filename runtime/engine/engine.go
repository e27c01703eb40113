package engine

import (
	"errors"
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Options size an engine. A zero field means its default.
type Options struct {
	MaxRows  int   // rows of a call, default 256
	Latents  int   // rows between prelude and coda at one time, default 2·MaxRows
	PageSize int   // tokens of a page, default 16
	KVBytes  int64 // memory of all KV pages, default 1 GiB
	Sequence int   // sequences that may run at one time, default 64: KV beyond what they can use is not allocated
	Context  int   // tokens of one sequence, at most (and by default) the bundle's

	// KVPrecision is how the KV pages are stored on a CPU, whatever the bundle was exported with. On a device they are
	// as the graphs have them, and another precision than float32 (the zero value) is refused.
	KVPrecision kvcache.Precision

	KV loopctl.KVPolicy // of the block, one of those that the bundle allows; the zero value is `depth`
}

func (o Options) withDefaults(m *bundle.Manifest) Options {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.MaxRows, 256)
	def(&o.Latents, 2*o.MaxRows)
	def(&o.PageSize, 16)
	def(&o.Sequence, 64)
	if o.KVBytes <= 0 {
		o.KVBytes = 1 << 30
	}
	if o.Context <= 0 || o.Context > m.Context {
		o.Context = m.Context
	}
	return o
}

// Engine runs one bundle. It implements loopctl.Engine.
type Engine struct {
	m      *bundle.Manifest
	opt    Options
	limits loopctl.Limits

	prelude, block, coda stage

	state  initialState
	hidden *slots // each row's latent between calls
	inject *slots // what the prelude injects; nil where the model does not
	meta   metadata
	rows   rowBuffers
	views  [][]float32 // Coda's result: one view of the logits for each row
	filler filler
}

// New opens the bundle's three graphs on env and allocates every buffer. The error names the graph or the option that
// is at fault; nothing is left open then.
func New(env *ort.Env, b *bundle.Bundle, opt Options) (e *Engine, err error) {
	m := &b.Manifest
	if m.Kind != bundle.KindPaged {
		return nil, fmt.Errorf("bundle %s: kind %q is not served by this engine, only %q", m.Name, m.Kind, bundle.KindPaged)
	}
	if err := m.RunsOn(env.Provider()); err != nil {
		return nil, err
	}
	opt = opt.withDefaults(m)
	e = &Engine{m: m, opt: opt, filler: newFiller()}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("bundle %s: %w", m.Name, err), e.Close())
			e = nil
		}
	}()
	if err := CheckKVPolicy(opt.KV, m); err != nil {
		return e, err
	}
	if opt.KVPrecision != kvcache.F32 && (m.Precision.Activations != "f32" || env.Provider() != ort.ProviderCPU) {
		return e, fmt.Errorf("kv precision %s is for bundles in f32 on a CPU: this one keeps its KV in %s (provider %s); set kv_precision to f32",
			opt.KVPrecision, m.Precision.Activations, env.Provider())
	}
	pages, err := e.plan()
	if err != nil {
		return e, err
	}
	e.limits = loopctl.Limits{
		MaxRows: opt.MaxRows, Latents: opt.Latents, PageSize: opt.PageSize, Pages: pages,
		Context: opt.Context, Vocab: m.VocabSize, Loops: loopctl.LoopRange(m.Loops),
		Delta: true, Gate: m.Gate != nil, Seeded: m.State.Kind == "normal", KV: opt.KV,
	}
	for i, g := range []struct {
		s    *stage
		spec bundle.Graph
	}{{&e.prelude, m.Prelude}, {&e.block, m.Block}, {&e.coda, m.Coda}} {
		if err := g.s.open(env, b, loopctl.Stage(i), g.spec, pages[i], e.shape(g.spec.Layers)); err != nil {
			return e, err
		}
	}
	return e, e.allocate()
}

// shape is the KV shape of a stage with so many layers.
func (e *Engine) shape(layers int) kvcache.Shape {
	return kvcache.Shape{
		Layers: layers, PageSize: e.opt.PageSize, KVHeads: e.m.Attention.KVHeads, HeadDim: e.m.Attention.HeadDim,
		Precision: e.kvPrecision(),
	}
}

func (e *Engine) elementSize() int {
	if e.m.Precision.Activations == "f32" {
		return 4
	}
	return 2
}

// kvPrecision is that of the options, or the graphs' own where those are not in float32.
func (e *Engine) kvPrecision() kvcache.Precision {
	switch e.m.Precision.Activations {
	case "f16":
		return kvcache.F16
	case "bf16":
		return kvcache.BF16
	}
	return e.opt.KVPrecision
}

func (e *Engine) plan() ([3]int, error) {
	stages := [3]kvcache.Shape{e.shape(e.m.Prelude.Layers), e.shape(e.m.Block.Layers), e.shape(e.m.Coda.Layers)}
	l := e.m.Loops
	return kvcache.Plan(e.opt.KVBytes, stages, e.opt.KV.PlanesAt(l.Default), e.opt.KV.PlanesAt(l.Max), e.opt.Sequence*e.opt.Context)
}

// Limits says what the engine holds.
func (e *Engine) Limits() loopctl.Limits { return e.limits }

// Manifest is the bundle's.
func (e *Engine) Manifest() *bundle.Manifest { return e.m }

// Close frees sessions and buffers. It is safe on a nil or half-made engine, and more than once.
func (e *Engine) Close() error {
	if e == nil {
		return nil
	}
	return errors.Join(e.prelude.close(), e.block.close(), e.coda.close(),
		e.hidden.close(), e.inject.close(), e.meta.close(), e.rows.close())
}
