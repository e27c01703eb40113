package app

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/host"
	"github.com/loopserve/loopserve/internal/tracing"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/metrics"
)

// App serves the bundles of a configuration.
type App struct {
	cfg    *configs.Config
	log    *slog.Logger
	env    *ort.Env
	server *server.Server
	admin  *http.Server // nil: none
	adminL net.Listener
	tracer *tracing.Tracer // nil: none
	fleet  *fleet
	loader *loader

	dirs      []string   // the bundles that the configuration led to at the start
	reloading sync.Mutex // held while models changes
	listing   sync.Mutex
	models    []*model         // what the server serves
	leftOut   map[string]error // bundles that it doesn't serve, by folder, and why

	checking   context.Context //nolint:containedctx // its end is Close
	stopChecks context.CancelFunc
	checks     sync.WaitGroup // of hashes, in the background
	hashing    sync.Mutex
}

// mostOperators bounds the connections of the admin listener.
const mostOperators = 64

// ConfigError is what only a look at the world finds wrong with a configuration: its keys cannot be read, an address needs
// keys where there are none, or what it names as models leads to no bundle.
type ConfigError struct{ error }

func (e *ConfigError) Unwrap() error { return e.error }

// access returns the keys, if they suffice for the addresses.
func access(cfg *configs.Config) ([]configs.Key, error) {
	keys, err := cfg.Keys()
	if err != nil {
		return nil, &ConfigError{err}
	}
	if err := server.CheckListen(cfg.Listen, len(keys) > 0, cfg.Insecure); err != nil {
		return nil, &ConfigError{err}
	}
	if cfg.AdminListen == "" {
		return keys, nil
	}
	if err := server.CheckListen(cfg.AdminListen, len(keys) > 0, cfg.Insecure); err != nil {
		return nil, &ConfigError{fmt.Errorf("admin_listen: %w", err)}
	}
	return keys, nil
}

// Open gets everything ready but the models, which are LoadModels'. What was opened is closed again when it fails. A
// *ConfigError comes before anything is opened.
func Open(cfg *configs.Config, version string, log *slog.Logger) (a *App, err error) {
	a = &App{cfg: cfg, log: log, leftOut: map[string]error{}}
	a.checking, a.stopChecks = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
			a = nil
		}
	}()
	keys, dirs, trust, err := look(cfg)
	if a.dirs = dirs; err != nil {
		return a, err
	}
	here := host.Here()
	cfg = Sized(cfg, here, weights(a.dirs)...)
	a.cfg = cfg
	if cfg.TraceEndpoint != "" {
		a.tracer, err = tracing.New(tracing.Options{Endpoint: cfg.TraceEndpoint, Ratio: cfg.TraceRatio, Version: version, Logger: log})
		if err != nil {
			return a, err
		}
		a.log = slog.New(a.tracer.LogHandler(log.Handler()))
	}
	registry := metrics.New()
	if cfg.VLLMAliases {
		registry.AliasVLLM()
	}
	served := serverConfig(cfg, keys, version)
	served.Trace, served.Alive = a.tracer.Request, a.alive
	a.server = server.New(served, a.log, registry)
	if err := a.listenAdmin(); err != nil {
		return a, err
	}
	if a.env, err = openRuntime(cfg, log); err != nil {
		return a, err
	}
	log.Info("ONNX Runtime", "version", a.env.Version(), "provider", a.env.Provider(), "threads", a.env.Threads())
	log.Info("resources", "cpus", here.Affinity, "cpu_quota", here.Quota, "threads", cfg.Threads, "gomaxprocs", runtime.GOMAXPROCS(0),
		"memory", configs.Bytes(here.Memory).About(), "free", configs.Bytes(here.Free).About(),
		"model_memory", cfg.ModelMemory.About(), "kv_memory", cfg.KVMemory.About())
	a.fleet = newFleet(int64(cfg.ModelMemory), cfg.ModelWait, cfg.QueueLimit, a.log, registry.Model)
	a.loader = &loader{
		cfg: cfg, log: a.log, env: a.env, fleet: a.fleet, trust: trust, settle: a.settle,
		observer: func(name string) loopctl.Observer { return a.tracer.Observer(name, registry.Observer(name)) },
	}
	return a, nil
}

// look reads the keys, of callers and of who may sign, and finds the bundles that a configuration names.
func look(cfg *configs.Config) (keys []configs.Key, dirs []string, trust []ed25519.PublicKey, err error) {
	if keys, err = access(cfg); err != nil {
		return nil, nil, nil, err
	}
	if trust, err = bundle.PublicKeys(cfg.Trust); err != nil {
		return nil, nil, nil, &ConfigError{fmt.Errorf("trust: %w", err)}
	}
	if dirs, err = FindBundles(cfg.Models); err != nil {
		return nil, nil, nil, &ConfigError{err}
	}
	if n := len(dirs); len(cfg.ServedModelName) > 0 && n != 1 {
		return nil, nil, nil, &ConfigError{fmt.Errorf("served_model_name is for one model, and models leads to %d bundles: name one of them", n)}
	}
	return keys, dirs, trust, nil
}

// Check finds what is wrong with a configuration whose models are bundles, without serving anything: its error is a *ConfigError. Of
// bundles it looks at all but the hashes; one that would be left out is an error where strict, or where no other is left.
func Check(cfg *configs.Config) error {
	_, dirs, trust, err := look(cfg)
	if cfg.TLSCert != "" {
		if _, e := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey); e != nil {
			err = errors.Join(err, fmt.Errorf("tls_cert and tls_key: %w", e))
		}
	}
	var out []error
	for _, dir := range dirs {
		if _, e := bundle.Open(dir, bundle.Options{SkipHash: true, Trust: trust}); e != nil {
			out = append(out, e)
		}
	}
	if cfg.Strict || len(out) == len(dirs) {
		err = errors.Join(append(out, err)...)
	}
	if err != nil {
		return &ConfigError{err}
	}
	return nil
}

func serverConfig(cfg *configs.Config, keys []configs.Key, version string) server.Config {
	texts, limits := make([]string, len(keys)), map[string]server.KeyLimits{}
	for i, k := range keys {
		texts[i], limits[k.Text] = k.Text, server.KeyLimits{LoopSteps: k.LoopSteps, Sequences: k.Sequences, Weight: k.Weight, Operator: k.Operator}
	}
	return server.Config{
		Listen: cfg.Listen, AdminListen: cfg.AdminListen, RootPath: cfg.RootPath, AllowedHosts: cfg.AllowedHosts, CORSOrigins: cfg.CORSOrigins,
		APIKeys: texts, KeyLimits: limits, Version: version, BodyLimit: int64(cfg.BodyLimit), BodyBudget: int64(cfg.BodyBudget), HeaderTimeout: cfg.HeaderTimeout,
		BodyTimeout: cfg.BodyTimeout, WriteTimeout: cfg.WriteTimeout, IdleTimeout: cfg.IdleTimeout,
		SharePrefixes: cfg.SharePrefixes, TemplateArgs: cfg.TemplateArgs,
		Limits: api.Limits{Prompts: cfg.MaxPrompts, Choices: cfg.MaxChoices, Sequences: cfg.MaxSequences, LoopSteps: int64(cfg.MaxLoopSteps)},
	}
}

// Load is Open and LoadModels.
func Load(cfg *configs.Config, version string, log *slog.Logger) (*App, error) {
	a, err := Open(cfg, version, log)
	if err != nil {
		return nil, err
	}
	if err := a.LoadModels(context.Background()); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// listenAdmin opens the admin listener, where one is configured.
func (a *App) listenAdmin() error {
	if a.cfg.AdminListen == "" {
		return nil
	}
	l, err := Listen(a.cfg, a.cfg.AdminListen, mostOperators)
	if err != nil {
		return fmt.Errorf("admin_listen is %q: %w", a.cfg.AdminListen, err)
	}
	a.adminL = l
	a.admin = &http.Server{
		Handler: a.server.Admin(a), ReadHeaderTimeout: a.cfg.HeaderTimeout, IdleTimeout: a.cfg.IdleTimeout,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	return nil
}

// Run serves on l until ctx ends, then drains: open requests have drain_timeout to end. It closes everything. Models that
// were not loaded before are loaded meanwhile; where that fails, it ends.
func (a *App) Run(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- a.server.Serve(l) }()
	adminDone := make(chan struct{})
	go func() {
		defer close(adminDone)
		if a.admin == nil {
			return
		}
		a.log.Info("admin", "address", a.where(a.adminL))
		if err := a.admin.Serve(a.adminL); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("admin listener ended", "error", err)
		}
	}()
	a.log.Info("listening", "address", a.where(l))
	err := a.LoadModels(ctx)
	switch {
	case ctx.Err() != nil:
		err = nil // a stop while models load is a stop
	case err == nil:
		a.log.Info("serving", "address", a.where(l))
		select {
		case err = <-served:
			served <- nil
		case <-ctx.Done():
			a.log.Info("draining", "delay", a.cfg.DrainDelay, "timeout", a.cfg.DrainTimeout)
			a.server.Leave()
			select {
			case err = <-served:
				served <- nil
			case <-time.After(a.cfg.DrainDelay):
			}
		}
	}
	drain, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), a.cfg.DrainTimeout, errors.New("drain_timeout has expired"))
	defer cancel()
	if cut := a.server.Shutdown(drain); cut != nil {
		a.log.Warn("requests were cut short", "reason", cut)
	}
	err = errors.Join(err, <-served, a.Close())
	<-adminDone
	a.log.Info("stopped")
	return err
}

// alive says what hangs for good: a native call that does not return, or a load.
func (a *App) alive() error {
	if a.fleet == nil {
		return nil
	}
	return a.fleet.hanging(a.cfg.LoadTimeout + time.Minute) // three graphs, and the cancelling of one
}

// EndWithin ends the process when ctx has ended for as long and a little more, whatever hangs in it, until the function that it
// returns is called.
func EndWithin(ctx context.Context, limit time.Duration, log *slog.Logger, exit func(code int)) (done func()) {
	var late *time.Timer
	var mu sync.Mutex
	ended := false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			return
		}
		late = time.AfterFunc(limit+lateness, func() {
			log.Error("forced exit: shutdown hangs, open requests are lost", "after", limit+lateness)
			exit(1)
		})
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if ended = true; !stop() && late != nil {
			late.Stop()
		}
	}
}

// lateness is what the process may take beyond drain_timeout.
const lateness = 900 * time.Millisecond

// Close ends what still generates and frees everything. Run does it itself: it is for a process that never ran.
func (a *App) Close() error {
	var errs []error
	if a.admin != nil {
		errs = append(errs, a.admin.Close())
		if err := a.adminL.Close(); !errors.Is(err, net.ErrClosed) { // Serve may have closed it
			errs = append(errs, err)
		}
	}
	a.stopChecks()
	a.checks.Wait()
	if a.fleet != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := a.fleet.close(ctx); err != nil {
			return errors.Join(append(errs, err)...) // what an engine still uses stays
		}
	}
	errs = append(errs, a.env.Close(), a.tracer.Close())
	return errors.Join(errs...)
}
