package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/loopserve/loopserve/loopctl"
)

// Served is a model whose controller is read when somebody asks for the metrics.
type Served struct {
	Name      string
	PageBytes [3]int64 // of one KV page of each stage
	Snapshot  func() loopctl.Snapshot
	// Loaded says whether the model is in memory, and how many bytes it takes, or would take; nil where it always is.
	Loaded func() (loaded bool, bytes int64)
}

// Watch adds what is read from the controllers of the models that are served at the time. It is called once.
func (m *Registry) Watch(served func() []Served) { m.registry.MustRegister(newGauges(served)) }

// gauges is a prometheus.Collector over the controllers' snapshots.
type gauges struct {
	served func() []Served
	known  map[string]gauge
}

type gauge struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func newGauges(served func() []Served) *gauges {
	g := &gauges{served: served, known: map[string]gauge{}}
	add := func(kind prometheus.ValueType, name, help string, labels ...string) {
		g.known[name] = gauge{prometheus.NewDesc(namespace+"_"+name, help, append([]string{"model_name"}, labels...), nil), kind}
	}
	const now, sum = prometheus.GaugeValue, prometheus.CounterValue
	add(now, "num_requests_running", "Sequences that run.")
	add(now, "num_requests_waiting", "Requests that wait to run.")
	add(now, "kv_pages_used", "KV pages promised to running sequences.", "stage")
	add(now, "kv_pages_cached", "KV pages that only the prefix cache holds: free, if somebody needs them.", "stage")
	add(now, "kv_pages_total", "KV pages there are.", "stage")
	add(now, "kv_cache_usage_perc", "Share of the fullest stage's KV pages that is promised, 0 to 1.")
	add(now, "kv_bytes", "Memory of the KV pages, by what it is used for: running, cached, free.", "stage", "use")
	add(now, "latents_used", "Latent slots in use.")
	add(now, "latents_total", "Latent slots there are.")
	add(now, "depth_occupancy", "Rows between prelude and coda, by loops done.", "depth")
	add(now, "loop_backlog_steps", "Work accepted and not yet done: rows times loops.")
	add(now, "loop_debt_seconds", "The backlog times the measured time of a loop-step: how long a new request may wait at worst.")
	add(now, "loop_step_seconds", "Running mean of a tick's time per row of its block call.")
	add(now, "tick_seconds", "Running mean of a tick's time: a decode row does one loop in it.")
	add(sum, "prefix_cache_queries_total", "Tokens of admitted requests that could have been in the prefix cache.")
	add(sum, "prefix_cache_hits_total", "Tokens of admitted requests that were in the prefix cache.")
	add(sum, "invariant_audits_total", "Times that the page accounts were proved while nobody ran.")
	add(sum, "invariant_mismatches_total", "Times that they did not add up, and were rebuilt.")
	add(now, "model_loaded", "1 where the model is in memory, 0 where the next request loads it.")
	add(now, "model_bytes", "Memory that the model takes when it is loaded: weights, KV pages and buffers.")
	return g
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, known := range g.known {
		ch <- known.desc
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	for _, m := range g.served() {
		put := func(name string, v float64, labels ...string) {
			known := g.known[name]
			ch <- prometheus.MustNewConstMetric(known.desc, known.kind, v, append([]string{m.Name}, labels...)...)
		}
		if m.Loaded != nil {
			loaded, bytes := m.Loaded()
			put("model_bytes", float64(bytes))
			put("model_loaded", map[bool]float64{true: 1}[loaded])
		}
		s := m.Snapshot()
		put("num_requests_running", float64(s.Running))
		put("num_requests_waiting", float64(s.Waiting))
		fullest := 0.0
		for i, total := range s.PagesTotal {
			stage := loopctl.Stage(i).String()
			put("kv_pages_used", float64(s.PagesUsed[i]), stage)
			put("kv_pages_cached", float64(s.PagesCached[i]), stage)
			put("kv_pages_total", float64(total), stage)
			if total == 0 {
				continue
			}
			fullest = max(fullest, float64(s.PagesUsed[i])/float64(total))
			size := float64(m.PageBytes[i])
			put("kv_bytes", float64(s.PagesUsed[i])*size, stage, "running")
			put("kv_bytes", float64(s.PagesCached[i])*size, stage, "cached")
			put("kv_bytes", float64(max(total-s.PagesUsed[i]-s.PagesCached[i], 0))*size, stage, "free")
		}
		put("kv_cache_usage_perc", fullest)
		put("latents_used", float64(s.LatentsUsed))
		put("latents_total", float64(s.LatentsTotal))
		for depth, rows := range s.RowsByDepth {
			put("depth_occupancy", float64(rows), strconv.Itoa(depth))
		}
		put("loop_backlog_steps", float64(s.Backlog))
		put("loop_debt_seconds", float64(s.Backlog)*s.SecondsPerLoopStep)
		put("loop_step_seconds", s.SecondsPerLoopStep)
		put("tick_seconds", s.SecondsPerTick)
		put("prefix_cache_queries_total", float64(s.PrefixQueries))
		put("prefix_cache_hits_total", float64(s.PrefixHits))
		put("invariant_audits_total", float64(s.Audits))
		put("invariant_mismatches_total", float64(s.Mismatches))
	}
}
