package paged

import (
	"errors"
	"fmt"
	"os"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// stage is one graph: its session, its prepared call, and the places of its inputs and outputs (−1 where the graph
// has none of that name).
type stage struct {
	session *ort.Session
	call    *ort.Call
	arena   *kvcache.Arena // nil where the stage has no layers

	// inputs
	ids, hiddenIn, injectIn, depth, logitRows int
	keys, values, cumulative, past, table     int
	// outputs
	hidden, inject, delta, gate, logits, finalHidden, keysOut, valuesOut int
}

func (s *stage) open(env *ort.Env, b *bundle.Bundle, which loopctl.Stage, g bundle.Graph, pages int, shape kvcache.Shape) (err error) {
	if s.session, err = load(env, b.Path(g.File), g.Layers, shape.Precision); err != nil {
		return fmt.Errorf("load %s: %w", which, err)
	}
	if s.call, err = s.session.NewCall(); err != nil {
		return fmt.Errorf("%s: %w", which, err)
	}
	in := func(name string) int { return s.session.Input(name) }
	s.ids, s.hiddenIn, s.injectIn, s.depth, s.logitRows = in("input_ids"), in("hidden"), in("inject"), in("depth"), in("logit_rows")
	s.keys, s.values = in("key_cache"), in("value_cache")
	s.cumulative, s.past, s.table = in("cumulative_sequence_length"), in("past_seqlens"), in("block_table")
	out := func(name string) int { return s.session.Output(name) }
	s.hidden, s.inject, s.delta, s.gate = out("hidden"), out("inject"), out("delta"), out("gate")
	if which == loopctl.StageBlock {
		s.hidden = out("hidden_out")
	}
	s.logits, s.finalHidden, s.keysOut, s.valuesOut = out("logits"), out("final_hidden"), out("key_cache_out"), out("value_cache_out")
	if g.Layers > 0 {
		if s.arena, err = kvcache.New(s.session, pages, shape); err != nil {
			return fmt.Errorf("%s: %w", which, err)
		}
	}
	return nil
}

// load loads a graph as it is, or with its caches declared in another precision than float32.
func load(env *ort.Env, path string, layers int, p kvcache.Precision) (*ort.Session, error) {
	if layers == 0 || env.Provider() != ort.ProviderCPU || p == kvcache.F32 {
		return env.Load(path, ort.SessionOptions{})
	}
	model, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if model, err = kvcache.Retype(model, p); err != nil {
		return nil, err
	}
	return env.LoadBytes(path, model, ort.SessionOptions{})
}

// run packs what the attention nodes need, where there are any, and runs the graph once.
func (s *stage) run(b *loopctl.Batch, meta *metadata) error {
	if s.arena != nil {
		spans := int64(len(b.Spans))
		columns := int64(meta.pack(b))
		slabs, size, heads, dim := s.arena.Dims()
		s.call.In(s.keys, s.arena.Key, slabs, size, heads, dim)
		s.call.In(s.values, s.arena.Value, slabs, size, heads, dim)
		s.call.In(s.cumulative, meta.cumulative, spans+1)
		s.call.In(s.past, meta.past, spans)
		s.call.In(s.table, meta.table, spans, columns)
		if s.keysOut >= 0 { // CUDA's op returns the caches: the same memory
			s.call.Out(s.keysOut, s.arena.Key, slabs, size, heads, dim)
			s.call.Out(s.valuesOut, s.arena.Value, slabs, size, heads, dim)
		}
	}
	return s.call.Run()
}

func (s *stage) close() error {
	return errors.Join(s.call.Close(), s.arena.Close(), s.session.Close()) // the arena may be memory of the session's device
}
