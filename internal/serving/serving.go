package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/tokenizer"
)

// Process serves the bundles of a configuration.
type Process struct {
	cfg    *configs.Config
	log    *slog.Logger
	env    *ort.Env
	server *server.Server
	parts  []*part
}

// part is one model.
type part struct {
	name       string
	engine     *engine.Engine
	controller *loopctl.Controller
}

// Load opens ONNX Runtime and every bundle. What was opened is closed again when it fails.
func Load(cfg *configs.Config, version string, log *slog.Logger) (p *Process, err error) {
	p = &Process{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	keys, err := cfg.Keys()
	if err != nil {
		return p, err
	}
	if err := server.CheckListen(cfg.Listen, len(keys) > 0, cfg.Insecure); err != nil {
		return p, err
	}
	dirs, err := FindBundles(cfg.Models)
	if err != nil {
		return p, err
	}
	p.env, err = ort.Open(ort.Options{Library: cfg.ORTLib, Threads: cfg.Threads, Spin: true, Provider: cfg.Provider, DeviceID: cfg.DeviceID, Logger: log})
	if err != nil {
		return p, err
	}
	log.Info("ONNX Runtime", "version", p.env.Version(), "provider", p.env.Provider(), "threads", p.env.Threads())
	metrics := server.NewMetrics()
	p.server = server.New(server.Config{
		APIKeys: keys, Version: version, BodyLimit: int64(cfg.BodyLimit), HeaderTimeout: cfg.HeaderTimeout,
		BodyTimeout: cfg.BodyTimeout, WriteTimeout: cfg.WriteTimeout, IdleTimeout: cfg.IdleTimeout,
		Limits: server.Limits{Prompts: cfg.MaxPrompts, Choices: cfg.MaxChoices, Sequences: min(cfg.MaxSequences, cfg.QueueLimit), LoopSteps: int64(cfg.MaxLoopSteps)},
	}, log, metrics)
	var models []*server.Model
	for _, dir := range dirs {
		m, err := p.load(dir, metrics)
		if err != nil {
			return p, err
		}
		models = append(models, m)
	}
	return p, p.server.SetModels(models...)
}

func (p *Process) load(dir string, metrics *server.Metrics) (*server.Model, error) {
	start := time.Now()
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		return nil, err
	}
	m := &b.Manifest
	tok, err := tokenizer.Open(b.FS(), p.cfg.Tokenizer)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", dir, err)
	}
	e, err := engine.New(p.env, b, engine.Options{
		MaxRows: p.cfg.MaxRows, PageSize: p.cfg.PageSize, KVBytes: int64(p.cfg.KVMemory), Sequence: p.cfg.MaxRunning, Context: p.cfg.Context,
	})
	if err != nil {
		return nil, err
	}
	c := loopctl.New(e, loopctl.Config{
		QueueLimit: p.cfg.QueueLimit, MaxRunning: p.cfg.MaxRunning, RowBudget: p.cfg.RowBudget,
		Observer: metrics.Observer(m.Name), Logger: p.log.With("model", m.Name),
	})
	p.parts = append(p.parts, &part{name: m.Name, engine: e, controller: c})
	c.Start()
	l := e.Limits()
	p.log.Info("model", "name", m.Name, "family", m.Family, "loops", fmt.Sprintf("%d…%d, default %d", m.Loops.Min, m.Loops.Max, m.Loops.Default),
		"context", l.Context, "weights", m.Precision.Weights, "block_pages", l.Pages[loopctl.StageBlock], "took", time.Since(start).Round(time.Millisecond))
	created := time.Now()
	if info, err := os.Stat(filepath.Join(dir, bundle.FileName)); err == nil {
		created = info.ModTime()
	}
	return &server.Model{
		Name: m.Name, Description: m.Description, Created: created.Unix(), Generator: c, Tokenizer: tok,
		Loops: loopctl.LoopRange(m.Loops), Context: l.Context, Vocab: m.VocabSize, StopIDs: m.Tokens.Stop, BOS: m.Tokens.BOS, PAD: m.Tokens.PAD,
		KVPolicies: m.KVPolicies, KVPolicy: kvPolicy(l.KV), ChatTemplate: tok.Config().ChatTemplate,
		Delta: true, Gate: m.Gate != nil, HiddenSize: e.HiddenSize(), // every block gives the delta: docs/bundle-format.md
	}, nil
}

// kvPolicy is the policy's name as manifests spell it.
func kvPolicy(p loopctl.KVPolicy) string {
	switch p.Planes {
	case 0:
		return "depth"
	case 1:
		return "latest"
	}
	return fmt.Sprintf("modulo:%d", p.Planes)
}

// Run serves on l until ctx ends, then drains: open requests have drain_timeout to end. It closes everything.
func (p *Process) Run(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(l) }()
	p.log.Info("serving", "address", "http://"+l.Addr().String())
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		p.log.Info("draining", "at_most", p.cfg.DrainTimeout)
		drain, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), p.cfg.DrainTimeout, errors.New("drain_timeout is over"))
		defer cancel()
		if cut := p.server.Shutdown(drain); cut != nil {
			p.log.Warn("cut short what was open", "reason", cut)
		}
		err = <-served
	}
	err = errors.Join(err, p.Close())
	p.log.Info("stopped")
	return err
}

// Close ends what still generates and frees everything. Run does it itself: it is for a process that never ran.
func (p *Process) Close() error {
	var errs []error
	for _, part := range p.parts {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := part.controller.Close(ctx)
		cancel()
		if err != nil { // its engine is still in a native call: freeing it would be a crash
			errs = append(errs, fmt.Errorf("model %s: %w", part.name, err))
			continue
		}
		errs = append(errs, part.engine.Close())
	}
	p.parts = nil
	if len(errs) == 0 || errors.Join(errs...) == nil {
		errs = append(errs, p.env.Close())
	}
	return errors.Join(errs...)
}
