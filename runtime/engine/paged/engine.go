package paged

import (
	"bytes"
	"context"
	"errors"
	"sync"

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

// New opens the bundle's three graphs on env and allocates every buffer, for calls within limits.
func New(env *ort.Env, b *bundle.Bundle, limits loopctl.Capacity, opt spec.Options) (*Engine, error) {
	e := &Engine{m: &b.Manifest, limits: limits, memory: native.Memory{MapWeights: opt.MapWeights}}
	if err := e.open(env, b, opt.KVPrecision); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Engine) open(env *ort.Env, b *bundle.Bundle, kv kvcache.Precision) error {
	raw, files, err := e.memory.Read(b)
	if err != nil {
		return err
	}
	block := raw[loopctl.StageBlock]
	session := ort.SessionOptions{OnCrew: bytes.Contains(block, []byte("PackedLinear")) || bytes.Contains(block, []byte("QuantLinear")), Files: files}
	shapes := spec.Shapes(e.m, e.limits.PageSize, kv)
	graphs := [3]bundle.Graph{e.m.Prelude, e.m.Block, e.m.Coda}
	// ONNX Runtime packs an old bundle's float32 weights on one thread for each session: block and coda are opened at one time. The first session
	// of a process must come alone, since it registers the operators' domain, without a lock of ONNX Runtime's (1.32).
	var opening sync.WaitGroup
	var errs [3]error
	for i, s := range []*stage{&e.prelude, &e.block, &e.coda} {
		opening.Go(func() {
			errs[i] = s.open(env, raw[i], loopctl.Stage(i), graphs[i], e.limits.Pages[i], shapes[i], session)
		})
		if loopctl.Stage(i) == loopctl.StagePrelude {
			opening.Wait()
		}
	}
	opening.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	return e.allocate()
}

func (e *Engine) elementSize() int {
	if e.m.Precision.Activations == "f32" {
		return 4
	}
	return 2
}

// Capacity says what the engine holds.
func (e *Engine) Capacity() loopctl.Capacity { return e.limits }

// Interrupt implements loopctl.Interrupter.
func (e *Engine) Interrupt() { native.Interrupt(&e.prelude.Graph, &e.block.Graph, &e.coda.Graph) }

// Manifest is the bundle's.
func (e *Engine) Manifest() *bundle.Manifest { return e.m }

// Settle reads weights into memory that are still mapped.
func (e *Engine) Settle(ctx context.Context) (bytes int, err error) { return e.memory.Settle(ctx) }

// Close frees sessions and buffers. It is safe on a nil or half-made engine, and more than once.
func (e *Engine) Close() error {
	if e == nil {
		return nil
	}
	return errors.Join(e.prelude.close(), e.block.close(), e.coda.close(), e.memory.Close())
}
