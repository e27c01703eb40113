package metrics

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Buckets of vLLM's dashboards, with finer ones below 10 ms, where small models live.
var (
	bucketsTTFT    = []float64{.001, .0025, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
	bucketsITL     = []float64{.0005, .001, .002, .004, .006, .008, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	bucketsLatency = []float64{.01, .03, .1, .3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	bucketsCall    = []float64{.00005, .0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5}
	bucketsTokens  = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000}
	bucketsRows    = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048}
	bucketsLoops   = []float64{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128}
)

// Registry is one server's own. Observer gives each model's controller its part; the server fills the rest.
type Registry struct {
	registry *prometheus.Registry
	handler  http.Handler
	aliases  bool // vLLM's names beside ours

	httpRequests *prometheus.CounterVec
	httpSeconds  *prometheus.HistogramVec
	itl          *prometheus.HistogramVec
	tokenLoops   *prometheus.HistogramVec
	modelEvents  *prometheus.CounterVec
	modelLoad    *prometheus.HistogramVec
	engine       engineMetrics
	observers    sync.Map // by model: *observer
}

// New makes a registry in which nothing has been counted.
func New() *Registry {
	m := &Registry{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(prometheus.GathererFunc(m.gather), promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
	m.httpRequests = m.counter("http_requests_total", "HTTP requests by route, method and status.", "handler", "method", "status")
	m.httpSeconds = m.histogram("http_request_duration_seconds", "Time from a request's arrival to the end of its answer.", bucketsLatency, "handler")
	m.itl = m.histogram("inter_token_latency_seconds", "Time between two tokens of a sequence, as delivered.", bucketsITL, "model_name")
	m.tokenLoops = m.histogram("loops_per_token", "Loops done for a token: of decode for each generated one, of prefill the mean over a sequence's prompt.", bucketsLoops, "model_name", "phase", "policy")
	m.modelEvents = m.counter("model_events_total", "Models brought into memory or out of it: loaded, unloaded, failed (to load).", "model_name", "event")
	m.modelLoad = m.histogram("model_load_seconds", "Time to bring a model into memory.", bucketsTTFT, "model_name")
	m.engine = newEngineMetrics(m)
	return m
}

const namespace = "loopserve"

func (m *Registry) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Registry) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Registry) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

// HTTP counts an answered request. route is the route's pattern, of which there are few.
func (m *Registry) HTTP(route, method string, status int, took time.Duration) {
	switch method { // a client may make up methods without end
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
	default:
		method = "other"
	}
	m.httpRequests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.httpSeconds.WithLabelValues(route).Observe(took.Seconds())
}

// Model counts what happened to a model: loaded, unloaded, or failed to load. took is of a load.
func (m *Registry) Model(name, event string, took time.Duration) {
	m.modelEvents.WithLabelValues(name, event).Inc()
	if event == "loaded" {
		m.modelLoad.WithLabelValues(name).Observe(took.Seconds())
	}
}

// Handler writes the metrics in Prometheus' text format.
func (m *Registry) Handler() http.Handler { return m.handler }

// Tokens measures one sequence's tokens as they are delivered. It belongs to one goroutine.
type Tokens struct {
	itl, loops prometheus.Observer
	last       time.Time
}

// Tokens is made for each sequence of a model; policy is its exit policy.
func (m *Registry) Tokens(model, policy string) *Tokens {
	return &Tokens{itl: m.itl.WithLabelValues(model), loops: m.tokenLoops.WithLabelValues(model, "decode", policy)}
}

// Observe counts a token that took so many loops.
func (t *Tokens) Observe(loops int) {
	now := time.Now()
	if !t.last.IsZero() {
		t.itl.Observe(now.Sub(t.last).Seconds())
	}
	t.last = now
	t.loops.Observe(float64(loops))
}
