package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/loopserve/loopserve/loopctl"
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

// Metrics is the server's own registry. Observer gives each model's controller its part; the server fills the rest.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	httpRequests *prometheus.CounterVec
	httpSeconds  *prometheus.HistogramVec
	itl          *prometheus.HistogramVec
	tokenLoops   *prometheus.HistogramVec
	engine       engineMetrics
}

// NewMetrics makes an empty registry.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
	m.httpRequests = m.counter("http_requests_total", "HTTP requests by route, method and status.", "handler", "method", "status")
	m.httpSeconds = m.histogram("http_request_duration_seconds", "Time from a request's arrival to the end of its answer.", bucketsLatency, "handler")
	m.itl = m.histogram("inter_token_latency_seconds", "Time between two tokens of a sequence, as delivered.", bucketsITL, "model_name")
	m.tokenLoops = m.histogram("loops_per_token", "Loops done for a generated token.", bucketsLoops, "model_name")
	m.engine = newEngineMetrics(m)
	return m
}

const namespace = "loopserve"

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) http(route, method string, status int, took time.Duration) {
	switch method { // a client may make up methods without end
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
	default:
		method = "other"
	}
	m.httpRequests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.httpSeconds.WithLabelValues(route).Observe(took.Seconds())
}

// tokenObserver measures one sequence's tokens as they are delivered.
type tokenObserver struct {
	itl, loops prometheus.Observer
	last       time.Time
}

func (m *Metrics) tokens(model string) *tokenObserver {
	return &tokenObserver{itl: m.itl.WithLabelValues(model), loops: m.tokenLoops.WithLabelValues(model)}
}

func (t *tokenObserver) token(loops int) {
	now := time.Now()
	if !t.last.IsZero() {
		t.itl.Observe(now.Sub(t.last).Seconds())
	}
	t.last = now
	t.loops.Observe(float64(loops))
}

func (s *Server) getMetrics(c *gin.Context) {
	extendWrite(c)
	s.metrics.handler.ServeHTTP(c.Writer, c.Request)
}

// watch adds the gauges that are read from the models' controllers when somebody asks.
func (m *Metrics) watch(ms models) { m.registry.MustRegister(newGauges(ms)) }

// gauges is a prometheus.Collector over the controllers' snapshots.
type gauges struct {
	models models
	descs  []*prometheus.Desc
}

// gauge indices, in the order of newGauges.
const (
	gaugeRunning = iota
	gaugeWaiting
	gaugePagesUsed
	gaugePagesTotal
	gaugeKVUsage
	gaugeLatentsUsed
	gaugeLatentsTotal
	gaugeDepth
	gaugeBacklog
	gaugeDebt
	gaugeStep
)

func newGauges(ms models) *gauges {
	g := &gauges{models: ms}
	add := func(name, help string, labels ...string) {
		g.descs = append(g.descs, prometheus.NewDesc(namespace+"_"+name, help, append([]string{"model_name"}, labels...), nil))
	}
	add("num_requests_running", "Sequences that run.")
	add("num_requests_waiting", "Requests that wait to run.")
	add("kv_pages_used", "KV pages promised to running sequences.", "stage")
	add("kv_pages_total", "KV pages there are.", "stage")
	add("kv_cache_usage_perc", "Share of the fullest stage's KV pages that is promised, 0 to 1.")
	add("latents_used", "Latent slots in use.")
	add("latents_total", "Latent slots there are.")
	add("depth_occupancy", "Rows between prelude and coda, by loops done.", "depth")
	add("loop_backlog_steps", "Work accepted and not yet done: rows times loops.")
	add("loop_debt_seconds", "The backlog times the measured time of a loop-step: how long a new request may wait at worst.")
	add("loop_step_seconds", "Running mean of a tick's time per row of its block call.")
	return g
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range g.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	for _, m := range g.models {
		s := m.Generator.Snapshot()
		put := func(i int, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(g.descs[i], prometheus.GaugeValue, v, append([]string{m.Name}, labels...)...)
		}
		put(gaugeRunning, float64(s.Running))
		put(gaugeWaiting, float64(s.Waiting))
		fullest := 0.0
		for i, total := range s.PagesTotal {
			stage := loopctl.Stage(i).String()
			put(gaugePagesUsed, float64(s.PagesUsed[i]), stage)
			put(gaugePagesTotal, float64(total), stage)
			if total > 0 {
				fullest = max(fullest, float64(s.PagesUsed[i])/float64(total))
			}
		}
		put(gaugeKVUsage, fullest)
		put(gaugeLatentsUsed, float64(s.LatentsUsed))
		put(gaugeLatentsTotal, float64(s.LatentsTotal))
		for depth, rows := range s.RowsByDepth {
			put(gaugeDepth, float64(rows), strconv.Itoa(depth))
		}
		put(gaugeBacklog, float64(s.Backlog))
		put(gaugeDebt, float64(s.Backlog)*s.SecondsPerLoopStep)
		put(gaugeStep, s.SecondsPerLoopStep)
	}
}
