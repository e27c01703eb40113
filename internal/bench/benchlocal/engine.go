package benchlocal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/bench"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Engine is a bundle that is loaded.
type Engine struct {
	Manifest *bundle.Manifest
	cfg      *configs.Config
	env      *ort.Env
	engine   engine.Engine
}

// Open loads a bundle as a server with this configuration would.
func Open(cfg *configs.Config, dir string) (e *Engine, err error) {
	e = &Engine{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
			e = nil
		}
	}()
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		return e, err
	}
	e.Manifest = &b.Manifest
	e.env, err = ort.Open(ort.Options{
		Library: cfg.ORTLib, Threads: cfg.Threads, Spin: true, Provider: cfg.Provider, DeviceID: cfg.DeviceID, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return e, err
	}
	policy, err := spec.ParseKVPolicy(cfg.KVPolicy)
	if err != nil {
		return e, err
	}
	precision, err := kvcache.ParsePrecision(cfg.KVPrecision)
	if err != nil {
		return e, err
	}
	e.engine, err = engine.Open(e.env, b, engine.Options{
		MaxRows: cfg.MaxRows, PageSize: cfg.PageSize, KVBytes: int64(cfg.KVMemory), Sequence: cfg.MaxRunning, Context: cfg.Context, KV: policy, KVPrecision: precision,
	})
	return e, err
}

// Describe is a line about what is measured.
func (e *Engine) Describe() string {
	m := e.Manifest
	return fmt.Sprintf("%s: %d + %d×L + %d layers, hidden %d, weights %s, %s, %d threads",
		m.Name, m.Prelude.Layers, m.Block.Layers, m.Coda.Layers, m.HiddenSize, m.Precision.Weights, e.env.Provider(), e.env.Threads())
}

// Capacity is the engine's.
func (e *Engine) Capacity() loopctl.Capacity { return e.engine.Capacity() }

// Start starts a controller with an empty cache. The function ends it; only then may another one be started.
func (e *Engine) Start(scheduling loopctl.Scheduling) (*bench.InProcess, func() error) {
	counter := &bench.Counter{}
	c := loopctl.New(e.engine, loopctl.Config{
		QueueLimit: e.cfg.QueueLimit, MaxRunning: e.cfg.MaxRunning, RowBudget: e.cfg.RowBudget, Scheduling: scheduling,
		Observer: counter, Logger: slog.New(slog.DiscardHandler),
	})
	c.Start()
	return &bench.InProcess{Generator: c, Vocab: e.engine.Capacity().Vocab, Counter: counter}, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return c.Close(ctx)
	}
}

// Close frees the engine. It is safe on a half-opened one.
func (e *Engine) Close() error {
	if e == nil {
		return nil
	}
	var err error
	if e.engine != nil {
		err = e.engine.Close()
	}
	if e.env != nil {
		err = errors.Join(err, e.env.Close())
	}
	return err
}
