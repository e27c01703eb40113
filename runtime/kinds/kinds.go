// Package kinds opens the engine of a bundle's kind: paged bundles run on runtime/engine, dense ones on runtime/dense.
// It knows nothing else.
package kinds

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/dense"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Engine is what the engine of every kind gives.
type Engine interface {
	loopctl.Engine
	loopctl.LatentReader
	// FinalHidden is what the head was applied to in the last Coda, for its i-th logits; nil where the graph hides it.
	FinalHidden(i int) []float32
	Manifest() *bundle.Manifest
	Close() error
}

// Open opens the bundle's engine. Close it before the environment.
func Open(env *ort.Env, b *bundle.Bundle, opt engine.Options) (Engine, error) {
	var e Engine
	var err error
	switch b.Manifest.Kind {
	case bundle.KindPaged:
		e, err = engine.New(env, b, opt)
	case bundle.KindDense:
		e, err = dense.New(env, b, opt)
	default:
		err = fmt.Errorf("bundle %s: no engine runs the kind %q", b.Manifest.Name, b.Manifest.Kind)
	}
	if err != nil {
		return nil, err // not e, which would be an Engine around a nil pointer
	}
	return e, nil
}

// Shapes are those of the pages of prelude, block and coda, kept in the precision that is asked for where the kind and
// the graphs leave a choice. A stage without layers has pages of no bytes.
func Shapes(m *bundle.Manifest, pageSize int, precision kvcache.Precision) [3]kvcache.Shape {
	if m.Kind == bundle.KindDense {
		return dense.Shapes(m, pageSize)
	}
	return engine.Shapes(m, pageSize, precision)
}
