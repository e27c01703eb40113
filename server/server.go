package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/generate"
	"github.com/loopserve/loopserve/server/metrics"
)

// Server answers HTTP. It is made by New, given its models by SetModels, and ended by Shutdown.
type Server struct {
	cfg       Config
	keys      [][sha256.Size]byte
	tenants   map[string]*tenant // by a key's digest
	operators bool               // a key is an operator's
	log       *slog.Logger
	metrics   *metrics.Registry
	router    *gin.Engine
	work      *work // before the engine
	http      *http.Server

	jobs    jobs                   // benchmarks and depth curves
	kept    sync.Map               // responses, a *dialect.Shelf for each key's digest
	served  atomic.Pointer[models] // nil while loading
	left    atomic.Pointer[[]LeftOut]
	leaving atomic.Bool
	stop    context.Context //nolint:containedctx // its end is the server's end, not a request's
	halt    context.CancelCauseFunc

	mu       sync.Mutex
	draining bool
	open     int           // requests that generate
	idle     chan struct{} // closed when draining and open is 0
}

// New makes a server that answers 503 to everything but the health routes until SetModels is called. log and
// registry may be nil.
func New(cfg Config, log *slog.Logger, registry *metrics.Registry) *Server {
	if log == nil {
		log = slog.Default()
	}
	if registry == nil {
		registry = metrics.New()
	}
	s := &Server{cfg: cfg.withDefaults(), log: log, metrics: registry, idle: make(chan struct{}), tenants: map[string]*tenant{}}
	for _, k := range cfg.APIKeys {
		sum := sha256.Sum256([]byte(k))
		s.keys = append(s.keys, sum)
		s.tenants[string(sum[:])] = &tenant{KeyLimits: cfg.KeyLimits[k]}
		s.operators = s.operators || cfg.KeyLimits[k].Operator
	}
	s.work = newWork(s.cfg.BodyBudget)
	s.LeaveOut()
	registry.Watch(s.watched)
	s.stop, s.halt = context.WithCancelCause(context.Background())
	s.router = s.routes()
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		WriteTimeout:      s.cfg.WriteTimeout, // each write of an answer moves it on
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return s
}

// SetModels makes the models available: from then on the server is ready. Called again it replaces them all at once:
// requests that have found their model keep it, later ones find the new ones. A model may be in both lists.
func (s *Server) SetModels(list ...*generate.Model) error {
	ms, err := newModels(list, s.models())
	if err != nil {
		return err
	}
	if len(ms) == 0 {
		return errors.New("no models: give at least one bundle")
	}
	s.served.Store(&ms)
	return nil
}

// LeftOut is a bundle that cannot be served, and why.
type LeftOut struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

// LeaveOut says which bundles are not among the models, in place of what was said before.
func (s *Server) LeaveOut(list ...LeftOut) { s.left.Store(&list) }

func (s *Server) models() models {
	if ms := s.served.Load(); ms != nil {
		return *ms
	}
	return nil
}

// watched are the models whose controllers the metrics read.
func (s *Server) watched() []metrics.Served {
	var out []metrics.Served
	for _, m := range s.models() {
		v := metrics.Served{Name: m.Name, PageBytes: m.PageBytes, Snapshot: m.Generator.Snapshot}
		if l, ok := m.Generator.(generate.Loaded); ok {
			v.Loaded = l.Loaded
		}
		out = append(out, v)
	}
	return out
}

// routes is the table of what is answered.
func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.RedirectTrailingSlash = false // ServeHTTP takes the slash away: a redirect would cost clients their body
	r.HandleMethodNotAllowed = true
	r.UseRawPath = true
	r.ContextWithFallback = true
	guard := s.guard(s.cfg.Listen, s.cfg.CORSOrigins)
	r.Use(s.identify, s.meter, s.trace, s.account, s.recover, s.cors)
	r.GET("/", guard, s.getPlayground) // before authorize: the page asks for the key
	r.HEAD("/", guard, s.getPlayground)
	r.Use(s.authorize, guard)
	r.NoRoute(noRoute("the routes are under /v1, see docs/api.md", r))
	r.NoMethod(s.noMethod)

	for _, path := range probes {
		handler := s.answers(s.getReady)
		if path == "/livez" {
			handler = s.answers(s.getLive)
		}
		r.GET(path, handler)
		r.HEAD(path, handler)
	}
	r.POST("/ping", s.answers(s.getReady))
	r.GET("/version", s.answers(s.getVersion))
	r.GET("/load", s.answers(s.getLoad))
	r.GET("/server_info", s.answers(s.getServerInfo))
	r.GET("/openapi.json", s.answers(s.getOpenAPI))
	r.GET("/metrics", s.getMetrics)
	model := func(h handler) gin.HandlerFunc { return s.whenReady(s.answers(h)) }
	r.GET("/v1/models", model(s.getModels))
	r.GET("/v1/models/*id", model(s.getModel)) // a name may have slashes
	r.POST("/v1/completions", model(s.postCompletions))
	r.POST("/v1/chat/completions", model(s.postChat))
	r.POST("/v1/responses", model(s.postResponses))
	r.GET("/v1/responses/:id", s.answers(s.getResponse))
	r.DELETE("/v1/responses/:id", s.answers(s.deleteResponse))
	r.POST("/v1/messages", model(s.postMessages))
	r.POST("/v1/messages/count_tokens", model(s.postCountTokens))
	r.POST("/v1/embeddings", model(s.postEmbeddings))
	r.GET("/v1/depth/curve", model(s.getCurve))
	r.POST("/v1/bench", model(s.postBench))
	r.GET("/v1/bench", model(s.getBenches))
	r.GET("/v1/bench/:id", model(s.benchAs("format", measure.JSON, measure.CSV, measure.Benchstat)))
	r.DELETE("/v1/bench/:id", model(s.ofBench(s.deleteBench)))
	r.GET("/v1/bench/:id/events", model(s.ofBench(s.getBenchEvents)))
	r.GET("/v1/bench/:id/plot.svg", model(s.benchAs("kind", measure.Latency, measure.Throughput)))
	r.POST("/tokenize", model(s.postTokenize))
	r.POST("/detokenize", model(s.postDetokenize))
	r.GET("/tokenizer_info", model(s.getTokenizerInfo))
	return r
}

// ServeHTTP makes the server a handler, for tests and for programs with a listener of their own. A proxy may take the root
// path away or leave it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch root := s.cfg.RootPath; {
	case root != "" && r.URL.Path == root: // without the slash the page's own paths would lead elsewhere
		http.Redirect(w, r, root+"/", http.StatusPermanentRedirect)
	case root != "" && strings.HasPrefix(r.URL.Path, root+"/"):
		http.StripPrefix(root, http.HandlerFunc(s.inRoot)).ServeHTTP(w, r)
	default:
		s.inRoot(w, r)
	}
}

func (s *Server) inRoot(w http.ResponseWriter, r *http.Request) {
	if p := strings.TrimRight(r.URL.Path, "/"); p != r.URL.Path && p != "" {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = p, strings.TrimRight(r.URL.RawPath, "/")
	}
	s.serve(s.router, w, r)
}

// serve has h answer. Each byte that a client owes has a deadline, whether h reads it or not.
func (s *Server) serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		h.ServeHTTP(w, r)
		return
	}
	b := &owed{ReadCloser: r.Body, rc: http.NewResponseController(w), header: w.Header()}
	b.until(time.Now().Add(s.cfg.BodyTimeout))
	b.header.Set("Connection", "close")
	r = r.WithContext(r.Context()) // net/http keeps its own view of the body
	r.Body = b
	defer func() {
		if !b.paid { // net/http swallows a little, lest the client sees a reset instead of the answer
			b.until(time.Now().Add(linger))
		}
	}()
	h.ServeHTTP(w, r)
}

// Serve answers on l until Shutdown, which makes it return nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Leave makes /readyz answer 503 while requests are still taken, so that balancers stop sending them before Shutdown refuses them.
func (s *Server) Leave() { s.leaving.Store(true) }

// grace is what Shutdown takes beyond its context's deadline, at most: the process has a second.
const grace = 600 * time.Millisecond

// Shutdown drains: /readyz and new requests get 503 while what is open goes on to its end; then the listener closes.
// When ctx ends first, open streams get an error event and end. It returns nil if nothing had to be cut short.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining {
		s.draining = true
		if s.open == 0 {
			close(s.idle)
		}
	}
	s.mu.Unlock()
	var cut error
	select {
	case <-s.idle:
	case <-ctx.Done():
		cut = context.Cause(ctx)
		s.halt(errShutdown)
		select { // they end as soon as they see it, but for one whose client is stuck
		case <-s.idle:
		case <-time.After(grace / 2):
		}
	}
	s.halt(errShutdown)
	s.jobs.wg.Wait() // the requests of benchmarks and curves end with s.stop
	end := time.Now().Add(2 * time.Second)
	if late, ok := ctx.Deadline(); ok && late.Add(grace).Before(end) {
		end = late.Add(grace)
	}
	last, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	if err := s.http.Shutdown(last); err != nil {
		return errors.Join(cut, err, s.http.Close())
	}
	return cut
}

// host is the server as a generating request sees it.
type host struct {
	*Server
	c *gin.Context
}

// Enter implements generate.Host. It fails while the server drains, and where the key's limits don't allow it.
func (s host) Enter(ctx context.Context, cost int64, sequences int) (context.Context, func(int64), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, nil, loopctl.ErrDraining
	}
	t := s.tenant(s.c)
	if err := t.take(cost, sequences, s.c.Writer.Header()); err != nil {
		return nil, nil, err
	}
	s.open++
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(s.stop, func() { cancel(context.Cause(s.stop)) })
	var once sync.Once
	return ctx, func(used int64) {
		once.Do(func() {
			unhook()
			cancel(context.Canceled)
			t.giveBack(max(cost-used, 0), sequences)
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.open--; s.open == 0 && s.draining {
				close(s.idle)
			}
		})
	}, nil
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// handler gives the JSON of an answer of status 200, nothing where it has answered itself, or an error.
type handler func(c *gin.Context) (any, error)

// answers writes what a handler gives.
func (s *Server) answers(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		out, err := h(c)
		switch {
		case err != nil:
			s.fail(c, err)
		case out != nil:
			respond(c, http.StatusOK, out)
		}
	}
}

// whenReady guards routes that need models.
func (s *Server) whenReady(h gin.HandlerFunc) gin.HandlerFunc {
	return func(c *gin.Context) {
		if s.served.Load() == nil {
			s.fail(c, errLoading)
			return
		}
		h(c)
	}
}
