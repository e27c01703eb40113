package paged

import (
	"errors"
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine/native"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// stage is one graph, and its KV memory.
type stage struct {
	native.Graph
	arena *kvcache.Arena // nil where the stage has no layers
}

func (s *stage) open(env *ort.Env, raw []byte, which loopctl.Stage, g bundle.Graph, pages int, shape kvcache.Shape, opt ort.SessionOptions) error {
	err := s.Open(which, func() (*ort.Session, error) { return load(env, g.File, raw, g.Layers, shape.Precision, opt) })
	if err == nil && g.Layers > 0 {
		if s.arena, err = kvcache.New(s.Session, pages, shape); err != nil {
			err = fmt.Errorf("%s: %w", which, err)
		}
	}
	return err
}

// load loads a graph as it is, or with its caches declared in another precision than float32.
func load(env *ort.Env, name string, raw []byte, layers int, p kvcache.Precision, opt ort.SessionOptions) (s *ort.Session, err error) {
	if layers > 0 && env.Provider() == ort.ProviderCPU && p != kvcache.F32 {
		if raw, err = kvcache.Retype(raw, p); err != nil {
			return nil, err
		}
	}
	return env.LoadBytes(name, raw, opt)
}

// run packs what the attention nodes need, where there are any, and runs the graph once.
func (s *stage) run(b *loopctl.Batch, meta *metadata) error {
	if s.arena != nil {
		spans := int64(len(b.Spans))
		columns := int64(meta.pack(b))
		slabs, size, heads, dim := s.arena.Dims()
		s.In("key_cache", s.arena.Key, slabs, size, heads, dim)
		s.In("value_cache", s.arena.Value, slabs, size, heads, dim)
		s.In("cumulative_sequence_length", meta.cumulative, spans+1)
		s.In("past_seqlens", meta.past, spans)
		s.In("visible_seqlens", meta.visible, spans)
		s.In("block_table", meta.table, spans, columns)
		s.Out("key_cache_out", s.arena.Key, slabs, size, heads, dim) // CUDA's op returns the caches: the same memory
		s.Out("value_cache_out", s.arena.Value, slabs, size, heads, dim)
	}
	return s.Run()
}

func (s *stage) close() error {
	return errors.Join(s.arena.Close(), s.Close()) // the arena may be memory of the session's device
}
