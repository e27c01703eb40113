package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/host"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/server/metrics"
)

// Engine is one bundle's engine without a server around it, for measurements: opened, and its requests scheduled and
// counted, as a server with the same configuration does it.
type Engine struct {
	Manifest *bundle.Manifest
	cfg      *configs.Config
	env      *ort.Env
	engine   engine.Engine
}

// OpenEngine loads a bundle.
func OpenEngine(cfg *configs.Config, dir string) (e *Engine, err error) {
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
	cfg = Sized(cfg, host.Here(), b.Manifest.FileBytes())
	e.cfg = cfg
	if e.env, err = openRuntime(cfg, slog.New(slog.DiscardHandler)); err != nil {
		return e, err
	}
	e.engine, err = openEngine(e.env, b, cfg, false)
	return e, err
}

// Describe is a line about what is measured.
func (e *Engine) Describe() string {
	m := e.Manifest
	return fmt.Sprintf("%s: %d + %d×L + %d layers, hidden %d, weights %s, %s, %d threads",
		m.Name, m.Prelude.Layers, m.Block.Layers, m.Coda.Layers, m.HiddenSize, m.Precision.Weights, e.env.Provider(), e.env.Threads())
}

// Start starts a controller with an empty cache. stop ends it; only then may another one be started.
func (e *Engine) Start(scheduling loopctl.Scheduling) (c *measure.Process, stop func() error) {
	registry, name := metrics.New(), e.Manifest.Name
	control := controllerConfig(e.cfg)
	control.Scheduling, control.Observer, control.Logger = scheduling, registry.Observer(name), slog.New(slog.DiscardHandler)
	controller := loopctl.New(e.engine, control)
	controller.Start()
	c = &measure.Process{Generator: controller, Blocks: func() loopctl.Blocks { return registry.Blocks(name) }}
	return c, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return controller.Close(ctx)
	}
}

// RowCosts times the engine's calls by their rows, for so long. No controller may run.
func (e *Engine) RowCosts(ctx context.Context, rows []int, most time.Duration) ([]measure.RowCost, error) {
	return measure.RowCosts(ctx, e.engine, rows, most)
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
	return errors.Join(err, e.env.Close())
}
