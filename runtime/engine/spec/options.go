package spec

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/kv"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Options size an engine. A zero field means its default.
type Options struct {
	MaxRows  int   // rows of a call, default 256; PromptRows come on top
	Latents  int   // rows between prelude and coda at one time, default 2·MaxRows; the same
	PageSize int   // tokens of a page, default 16
	KVBytes  int64 // memory of all KV pages, default 1 GiB
	Sequence int   // sequences that may run at one time, default 64: KV beyond what they can use is not allocated
	Context  int   // tokens of one sequence, at most (and by default) the bundle's

	// KVPrecision is how the KV pages are stored on a CPU, whatever the bundle was exported with. On a device they are
	// as the graphs have them, and another precision than float32 (the zero value) is refused.
	KVPrecision kvcache.Precision

	// MapWeights has the weights be their files until the engine's Settle: it opens at once, but whoever cuts such a file short
	// meanwhile ends the process.
	MapWeights bool

	KV loopctl.KVPolicy // of the block, one of those that the bundle allows; the zero value is `depth`
}

// KVPrecision reads a kv_precision. auto is f16 for a bundle with quantized weights on a CPU: rounding keys and values to it
// adds nothing that shows beside theirs, and they are half of what a row reads. Elsewhere it is f32.
func KVPrecision(word string, m *bundle.Manifest, provider string) (kvcache.Precision, error) {
	switch w := m.Precision.Weights; {
	case word != "auto":
		return kvcache.ParsePrecision(word)
	case (w == "int4" || w == "int8") && m.Precision.Activations == "f32" && m.Kind != bundle.KindDense && provider == ort.ProviderCPU:
		return kvcache.F16, nil
	}
	return kvcache.F32, nil
}

// WithDefaults fills in what is zero, for a bundle.
func (o Options) WithDefaults(m *bundle.Manifest) Options {
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

// mostPromptRows bounds what a call keeps buffers for where a longer prompt may be cut.
const mostPromptRows = 4096

// PromptRows is how many rows a call has beyond MaxRows, so that a prompt in one piece finds room beside what there is room for:
// the context where the bundle reads a prompt in both directions; up to mostPromptRows of it under a policy that keeps one loop's
// rows, where a cut changes the answer.
func PromptRows(m *bundle.Manifest, p loopctl.KVPolicy, context int) int {
	switch {
	case m.PrefixLM:
		return context
	case p.Keep != kv.KeepAny:
		return min(context, mostPromptRows)
	}
	return 0
}

// Capacity is that of the bundle's engine on a provider, of options WithDefaults. The error names what the bundle does not
// allow, or the memory that is too small.
func (o Options) Capacity(m *bundle.Manifest, provider string) (loopctl.Capacity, error) {
	switch p := o.KVPrecision; {
	case p == kvcache.F32:
	case m.Kind == bundle.KindDense:
		return loopctl.Capacity{}, fmt.Errorf("kv precision %s is not supported by bundles of kind %s, which keep rows in f32: set kv_precision to f32", p, m.Kind)
	case m.Precision.Activations != "f32" || provider != ort.ProviderCPU:
		return loopctl.Capacity{}, fmt.Errorf("kv precision %s requires a bundle in f32 on a CPU, but this one keeps its KV in %s (provider %s): set kv_precision to f32",
			p, m.Precision.Activations, provider)
	}
	if err := CheckKVPolicy(o.KV, m); err != nil {
		return loopctl.Capacity{}, err
	}
	l := loopctl.Capacity{
		MaxRows: o.MaxRows, Latents: o.Latents, PageSize: o.PageSize, Context: o.Context,
		Vocab: m.VocabSize, Loops: loopctl.LoopRange(m.Loops),
		Delta: true, Gate: m.Gate != nil, Seeded: m.State.Kind == "normal", KV: o.KV,
	}
	if t := m.Trajectory; t != nil {
		l.Trajectories = loopctl.TrajectoryEven
		if t.Choice {
			l.Trajectories = loopctl.TrajectoryAny
		}
	}
	l.Whole, l.Beyond = m.PrefixLM, PromptRows(m, o.KV, o.Context)
	l.MaxRows, l.Latents = l.MaxRows+l.Beyond, l.Latents+l.Beyond
	if m.Precision.Activations == "f32" { // other latents are not shown
		l.Hidden = m.HiddenSize
	}
	shapes := Shapes(m, o.PageSize, o.KVPrecision)
	var err error
	most := o.KV.PlanesAt(l.Loops.Max)
	if o.KV.Keep != kv.KeepAny {
		most++ // for the rows that are not kept
	}
	l.Pages, err = kvcache.Plan(o.KVBytes, shapes, o.KV.PlanesAt(l.Loops.Default), most, o.Sequence*o.Context)
	return l, err
}
