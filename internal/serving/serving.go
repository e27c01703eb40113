package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/tracing"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/metrics"
)

// Process serves the bundles of a configuration.
type Process struct {
	cfg    *configs.Config
	log    *slog.Logger
	env    *ort.Env
	server *server.Server
	admin  *http.Server // nil: none
	adminL net.Listener
	tracer *tracing.Tracer // nil: none
	fleet  *fleet
	maker  *maker

	reloading sync.Mutex // held while models changes
	listing   sync.Mutex
	models    []*model // what the server serves
}

// AccessError says that the configuration's keys cannot be read, or that an address needs keys where there are none.
type AccessError struct{ error }

func (e *AccessError) Unwrap() error { return e.error }

// ModelsError says that what the configuration names as models leads to no bundle.
type ModelsError struct{ error }

func (e *ModelsError) Unwrap() error { return e.error }

// access returns the keys, if they suffice for the addresses.
func access(cfg *configs.Config) ([]string, error) {
	keys, err := cfg.Keys()
	if err != nil {
		return nil, &AccessError{err}
	}
	if err := server.CheckListen(cfg.Listen, len(keys) > 0, cfg.Insecure); err != nil {
		return nil, &AccessError{err}
	}
	if cfg.AdminListen == "" {
		return keys, nil
	}
	if err := server.CheckListen(cfg.AdminListen, len(keys) > 0, cfg.Insecure); err != nil {
		return nil, &AccessError{fmt.Errorf("admin_listen: %w", err)}
	}
	return keys, nil
}

// Load opens ONNX Runtime and every bundle, and loads the models that preload names. What was opened is closed again
// when it fails. An *AccessError and a *ModelsError come before anything is opened.
func Load(cfg *configs.Config, version string, log *slog.Logger) (p *Process, err error) {
	p = &Process{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	keys, err := access(cfg)
	if err != nil {
		return p, err
	}
	dirs, err := FindBundles(cfg.Models)
	if err != nil {
		return p, &ModelsError{err}
	}
	if cfg.TraceEndpoint != "" {
		p.tracer, err = tracing.New(tracing.Options{Endpoint: cfg.TraceEndpoint, Ratio: cfg.TraceRatio, Version: version, Logger: log})
		if err != nil {
			return p, err
		}
		p.log = slog.New(p.tracer.LogHandler(log.Handler()))
	}
	p.env, err = ort.Open(ort.Options{Library: cfg.ORTLib, Threads: cfg.Threads, Spin: true, Provider: cfg.Provider, DeviceID: cfg.DeviceID, Logger: log})
	if err != nil {
		return p, err
	}
	log.Info("ONNX Runtime", "version", p.env.Version(), "provider", p.env.Provider(), "threads", p.env.Threads())
	registry := metrics.New()
	if cfg.VLLMAliases {
		registry.AliasVLLM()
	}
	p.server = server.New(server.Config{
		APIKeys: keys, Version: version, BodyLimit: int64(cfg.BodyLimit), HeaderTimeout: cfg.HeaderTimeout,
		BodyTimeout: cfg.BodyTimeout, WriteTimeout: cfg.WriteTimeout, IdleTimeout: cfg.IdleTimeout,
		SharePrefixes: cfg.SharePrefixes, TemplateArgs: cfg.TemplateArgs, Wrap: p.tracer.Handler,
		Limits: server.Limits{Prompts: cfg.MaxPrompts, Choices: cfg.MaxChoices, Sequences: min(cfg.MaxSequences, cfg.QueueLimit), LoopSteps: int64(cfg.MaxLoopSteps)},
	}, p.log, registry)
	if err := p.listenAdmin(); err != nil {
		return p, err
	}
	p.fleet = newFleet(int64(cfg.ModelMemory), cfg.ModelWait, cfg.QueueLimit, p.log, registry.Model)
	p.maker = &maker{
		cfg: cfg, log: p.log, env: p.env, fleet: p.fleet,
		observer: func(name string) loopctl.Observer { return p.tracer.Observer(name, registry.Observer(name)) },
	}
	var models []*model
	for _, dir := range dirs {
		m, err := p.maker.read(dir)
		if err != nil {
			return p, err
		}
		if err := p.fits(m); err != nil {
			return p, err
		}
		models = append(models, m)
	}
	if err := p.preload(models); err != nil {
		return p, err
	}
	return p, p.serve(models)
}

// preload loads what is there from the start: all models as far as the budget goes, or those that are named.
func (p *Process) preload(models []*model) error {
	names, all := p.cfg.Preload, false
	if len(names) == 1 {
		switch names[0] {
		case "all":
			all = true
		case "none":
			return nil
		}
	}
	for _, name := range names {
		if !all && !slices.ContainsFunc(models, func(m *model) bool { return m.name == name }) {
			return fmt.Errorf("preload names %q, which no bundle is: use names of `loopserve models`, all, or none", name)
		}
	}
	for _, m := range models {
		if !all && !slices.Contains(names, m.name) {
			continue
		}
		if b := p.fleet.budget; b > 0 && p.fleet.used+m.estimate > b {
			if all {
				p.log.Info("model waits for a request", "name", m.name, "would_take", configs.Bytes(m.estimate).About(), "model_memory", configs.Bytes(b).About())
				continue
			}
			return fmt.Errorf("preload: model %s takes up to %s, and %s of model_memory (%s) are taken: raise it, or preload fewer",
				m.name, configs.Bytes(m.estimate).About(), configs.Bytes(p.fleet.used).About(), configs.Bytes(b).About())
		}
		start := time.Now()
		part, err := m.opened()
		if err != nil {
			return err
		}
		p.fleet.mu.Lock()
		m.took = time.Since(start)
		p.fleet.place(m, part)
		p.fleet.mu.Unlock()
	}
	return nil
}

// listenAdmin opens the admin listener, where one is wished for.
func (p *Process) listenAdmin() error {
	if p.cfg.AdminListen == "" {
		return nil
	}
	l, err := net.Listen("tcp", p.cfg.AdminListen)
	if err != nil {
		return fmt.Errorf("admin_listen is %q: %w: is another server running there?", p.cfg.AdminListen, err)
	}
	p.adminL = l
	p.admin = &http.Server{
		Handler: p.server.Admin(p), ReadHeaderTimeout: p.cfg.HeaderTimeout, ReadTimeout: p.cfg.BodyTimeout, IdleTimeout: p.cfg.IdleTimeout,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
	return nil
}

// Run serves on l until ctx ends, then drains: open requests have drain_timeout to end. It closes everything.
func (p *Process) Run(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(l) }()
	adminDone := make(chan struct{})
	go func() {
		defer close(adminDone)
		if p.admin == nil {
			return
		}
		p.log.Info("admin", "address", "http://"+p.adminL.Addr().String())
		if err := p.admin.Serve(p.adminL); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("admin listener ended", "error", err)
		}
	}()
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
	<-adminDone
	p.log.Info("stopped")
	return err
}

// Close ends what still generates and frees everything. Run does it itself: it is for a process that never ran.
func (p *Process) Close() error {
	var errs []error
	if p.admin != nil {
		errs = append(errs, p.admin.Close())
		if err := p.adminL.Close(); !errors.Is(err, net.ErrClosed) { // Serve may have closed it
			errs = append(errs, err)
		}
	}
	if p.fleet != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := p.fleet.close(ctx); err != nil {
			return errors.Join(append(errs, err)...) // what an engine still uses stays
		}
	}
	errs = append(errs, p.env.Close(), p.tracer.Close())
	return errors.Join(errs...)
}
