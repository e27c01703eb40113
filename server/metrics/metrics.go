package metrics

import (
	"net/http"
	"strconv"
	"strings"
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

// defined are all metrics but those that gauges.go reads. One without buckets is a counter.
var defined = []struct {
	name, help string
	buckets    []float64
	labels     string
}{
	{"http_requests_total", "HTTP requests by route, method and status.", nil, "handler method status"},
	{"http_request_duration_seconds", "Time from a request's arrival to the end of its response.", bucketsLatency, "handler"},
	{"model_events_total", "Loads, unloads and failed loads of a model.", nil, "model_name event"},
	{"model_load_seconds", "Time to load a model.", bucketsTTFT, "model_name"},

	{"ticks_total", "Engine steps that made a native call.", nil, "model_name"},
	{"sampled_tokens_total", "Sampled tokens, including those of running sequences.", nil, "model_name"},
	{"loop_steps_total", "Loop steps: one application of the looped layers to one row.", nil, "model_name phase"},
	{"depth_bubbles_total", "Rows that were ready for a block call that had no room for them.", nil, "model_name"},
	{"exits_total", "Rows that left the loop, by exit policy and loops done.", nil, "model_name policy depth"},
	{"draft_tokens_total", "Draft tokens, sampled after few loops.", nil, "model_name"},
	{"draft_accepted_tokens_total", "Draft tokens that were accepted.", nil, "model_name"},
	{"probe_rows_total", "Rows of coda calls that only an exit policy or a lens needed.", nil, "model_name"},
	{"kv_fill_rows_total", "KV propagation: rows copied to the per-loop KV caches that an early exit skipped.", nil, "model_name"},
	{"iteration_tokens", "Prompt rows and generated tokens in one engine step.", bucketsRows, "model_name"},
	{"call_errors_total", "Native calls that failed.", nil, "model_name stage"},
	{"call_seconds", "Time of one native call, by stage.", bucketsCall, "model_name stage"},
	{"loop_batch_rows", "Rows in one block call.", bucketsRows, "model_name"},
	{"block_call_seconds", "Time of one block call, by the rows in it.", bucketsCall, "model_name rows_bucket"},

	{"request_success_total", "Finished sequences, by finish reason.", nil, "model_name finished_reason"},
	{"prompt_tokens_total", "Prompt tokens of finished sequences.", nil, "model_name"},
	{"generation_tokens_total", "Generated tokens of finished sequences.", nil, "model_name"},
	{"loops_saved_total", "Loops below the limit that an exit policy did not run.", nil, "model_name"},
	{"num_preemptions_total", "Times that a sequence lost its KV pages and was recomputed.", nil, "model_name"},
	{"recomputed_rows_total", "Rows recomputed after a preemption, of finished sequences.", nil, "model_name"},
	{"prompt_tokens_cached_total", "Prompt tokens found in the prefix cache.", nil, "model_name"},
	{"degraded_requests_total", "Sequences that got fewer loops than requested, by reason: backlog or target_itl.", nil, "model_name reason"},
	{"request_queue_time_seconds", "Time from arrival to the first row in a native call.", bucketsTTFT, "model_name"},
	{"request_prefill_time_seconds", "Time from the first row in a native call to the first token.", bucketsTTFT, "model_name"},
	{"request_decode_time_seconds", "Time from the first to the last token.", bucketsLatency, "model_name"},
	{"request_inference_time_seconds", "Time from the first row in a native call to the last token.", bucketsLatency, "model_name"},
	{"e2e_request_latency_seconds", "Time from arrival to the last token.", bucketsLatency, "model_name"},
	{"time_to_first_token_seconds", "Time from arrival to the first token.", bucketsTTFT, "model_name"},
	{"request_time_per_output_token_seconds", "Mean time per token after the first, per sequence.", bucketsITL, "model_name"},
	{"inter_token_latency_seconds", "Time between two tokens of a sequence.", bucketsITL, "model_name"},
	{"request_prompt_tokens", "Prompt tokens per sequence.", bucketsTokens, "model_name"},
	{"request_generation_tokens", "Generated tokens per sequence.", bucketsTokens, "model_name"},
	{"request_params_max_tokens", "Limit of generated tokens, per sequence.", bucketsTokens, "model_name"},
	{"request_params_loops", "Limit of loops per token, per sequence.", bucketsLoops, "model_name"},
	{"loops_per_request", "Mean loops per generated token of a sequence.", bucketsLoops, "model_name"},
	{"loops_per_token", "Loops per token: for decode of each generated token, for prefill the mean over a sequence's prompt.", bucketsLoops, "model_name phase policy"},
}

// Registry is one server's own. Observer gives each model's controller its part; the server fills the rest.
type Registry struct {
	registry   *prometheus.Registry
	handler    http.Handler
	aliases    bool // vLLM's names beside ours
	counters   map[string]*prometheus.CounterVec
	histograms map[string]*prometheus.HistogramVec
	observers  sync.Map // by model: *observer
}

const namespace = "loopserve"

// New makes a registry in which nothing has been counted.
func New() *Registry {
	m := &Registry{
		registry: prometheus.NewRegistry(), counters: map[string]*prometheus.CounterVec{}, histograms: map[string]*prometheus.HistogramVec{},
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, d := range defined {
		labels := strings.Fields(d.labels)
		if d.buckets == nil {
			m.counters[d.name] = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: d.name, Help: d.help}, labels)
			m.registry.MustRegister(m.counters[d.name])
			continue
		}
		opts := prometheus.HistogramOpts{Namespace: namespace, Name: d.name, Help: d.help, Buckets: d.buckets}
		m.histograms[d.name] = prometheus.NewHistogramVec(opts, labels)
		m.registry.MustRegister(m.histograms[d.name])
	}
	m.handler = promhttp.HandlerFor(prometheus.GathererFunc(m.gather), promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
	return m
}

// HTTP counts an answered request. route is the route's pattern, of which there are few.
func (m *Registry) HTTP(route, method string, status int, took time.Duration) {
	switch method { // a client may make up methods without end
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
	default:
		method = "other"
	}
	m.counters["http_requests_total"].WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.histograms["http_request_duration_seconds"].WithLabelValues(route).Observe(took.Seconds())
}

// Model counts what happened to a model: loaded, unloaded, or failed to load. took is of a load.
func (m *Registry) Model(name, event string, took time.Duration) {
	m.counters["model_events_total"].WithLabelValues(name, event).Inc()
	if event == "loaded" {
		m.histograms["model_load_seconds"].WithLabelValues(name).Observe(took.Seconds())
	}
}

// Handler writes the metrics in Prometheus' text format.
func (m *Registry) Handler() http.Handler { return m.handler }
