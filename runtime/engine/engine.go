// Package engine opens the engine of a bundle's kind: engine/paged runs graphs over a paged KV cache, engine/dense runs
// graphs without a cache. Options, limits and the checks that both share are engine/spec's. It knows nothing else.
package engine

import (
	"context"
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine/dense"
	"github.com/loopserve/loopserve/runtime/engine/paged"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Options size an engine of either kind. A zero field means its default.
type Options = spec.Options

// Engine is what the engine of every kind gives.
type Engine interface {
	loopctl.Engine
	// FinalHidden is what the head was applied to in the last Coda, for its i-th logits; nil where the graph hides it.
	FinalHidden(i int) []float32
	Manifest() *bundle.Manifest
	// Settle reads weights into memory that Options.MapWeights has mapped, and says how many bytes. It may run beside all else.
	Settle(ctx context.Context) (bytes int, err error)
	Close() error
}

// Open opens the bundle's engine. Close it before the environment. The error names the graph or the option that is at
// fault; nothing is left open then.
func Open(env *ort.Env, b *bundle.Bundle, opt Options) (Engine, error) {
	if err := b.Manifest.RunsOn(env.Provider()); err != nil {
		return nil, err
	}
	e, err := open(env, b, opt.WithDefaults(&b.Manifest))
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", b.Manifest.Name, err) // not e, which may be an Engine around a nil pointer
	}
	return e, nil
}

func open(env *ort.Env, b *bundle.Bundle, opt Options) (Engine, error) {
	limits, err := opt.Capacity(&b.Manifest, env.Provider())
	if err != nil {
		return nil, err
	}
	switch b.Manifest.Kind {
	case bundle.KindPaged:
		return paged.New(env, b, limits, opt)
	case bundle.KindDense:
		return dense.New(env, b, limits, opt)
	}
	return nil, fmt.Errorf("no engine runs bundles of kind %q", b.Manifest.Kind)
}
