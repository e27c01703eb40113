package server

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/loopserve/loopserve/loopctl"
)

// Loaded is a Generator that is not always in memory.
type Loaded interface {
	// Loaded says whether it is, and how many bytes it takes, or would take.
	Loaded() (loaded bool, bytes int64)
}

// watch adds what is read from the controllers of the models that are served when somebody asks.
func (m *Metrics) watch(served func() models) { m.registry.MustRegister(newGauges(served)) }

// gauges is a prometheus.Collector over the controllers' snapshots.
type gauges struct {
	served func() models
	descs  []*prometheus.Desc
	kinds  []prometheus.ValueType
}

// The order of newGauges.
const (
	gaugeRunning = iota
	gaugeWaiting
	gaugePagesUsed
	gaugePagesCached
	gaugePagesTotal
	gaugeKVUsage
	gaugeKVBytes
	gaugeLatentsUsed
	gaugeLatentsTotal
	gaugeDepth
	gaugeBacklog
	gaugeDebt
	gaugeStep
	gaugeTick
	gaugePrefixQueries
	gaugePrefixHits
	gaugeAudits
	gaugeMismatches
	gaugeLoaded
	gaugeModelBytes
)

func newGauges(served func() models) *gauges {
	g := &gauges{served: served}
	add := func(kind prometheus.ValueType, name, help string, labels ...string) {
		g.descs = append(g.descs, prometheus.NewDesc(namespace+"_"+name, help, append([]string{"model_name"}, labels...), nil))
		g.kinds = append(g.kinds, kind)
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "num_requests_running", "Sequences that run.")
	add(gauge, "num_requests_waiting", "Requests that wait to run.")
	add(gauge, "kv_pages_used", "KV pages promised to running sequences.", "stage")
	add(gauge, "kv_pages_cached", "KV pages that only the prefix cache holds: free, if somebody needs them.", "stage")
	add(gauge, "kv_pages_total", "KV pages there are.", "stage")
	add(gauge, "kv_cache_usage_perc", "Share of the fullest stage's KV pages that is promised, 0 to 1.")
	add(gauge, "kv_bytes", "Memory of the KV pages, by what it is used for: running, cached, free.", "stage", "use")
	add(gauge, "latents_used", "Latent slots in use.")
	add(gauge, "latents_total", "Latent slots there are.")
	add(gauge, "depth_occupancy", "Rows between prelude and coda, by loops done.", "depth")
	add(gauge, "loop_backlog_steps", "Work accepted and not yet done: rows times loops.")
	add(gauge, "loop_debt_seconds", "The backlog times the measured time of a loop-step: how long a new request may wait at worst.")
	add(gauge, "loop_step_seconds", "Running mean of a tick's time per row of its block call.")
	add(gauge, "tick_seconds", "Running mean of a tick's time: a decode row does one loop in it.")
	add(counter, "prefix_cache_queries_total", "Tokens of admitted requests that could have been in the prefix cache.")
	add(counter, "prefix_cache_hits_total", "Tokens of admitted requests that were in the prefix cache.")
	add(counter, "invariant_audits_total", "Times that the page accounts were proved while nobody ran.")
	add(counter, "invariant_mismatches_total", "Times that they did not add up, and were rebuilt.")
	add(gauge, "model_loaded", "1 where the model is in memory, 0 where the next request loads it.")
	add(gauge, "model_bytes", "Memory that the model takes when it is loaded: weights, KV pages and buffers.")
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
	for _, m := range g.served() {
		put := func(i int, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(g.descs[i], g.kinds[i], v, append([]string{m.Name}, labels...)...)
		}
		if l, ok := m.Generator.(Loaded); ok {
			loaded, bytes := l.Loaded()
			put(gaugeModelBytes, float64(bytes))
			put(gaugeLoaded, map[bool]float64{true: 1}[loaded])
		}
		s := m.Generator.Snapshot()
		put(gaugeRunning, float64(s.Running))
		put(gaugeWaiting, float64(s.Waiting))
		fullest := 0.0
		for i, total := range s.PagesTotal {
			stage := loopctl.Stage(i).String()
			put(gaugePagesUsed, float64(s.PagesUsed[i]), stage)
			put(gaugePagesCached, float64(s.PagesCached[i]), stage)
			put(gaugePagesTotal, float64(total), stage)
			if total == 0 {
				continue
			}
			fullest = max(fullest, float64(s.PagesUsed[i])/float64(total))
			size := float64(m.PageBytes[i])
			put(gaugeKVBytes, float64(s.PagesUsed[i])*size, stage, "running")
			put(gaugeKVBytes, float64(s.PagesCached[i])*size, stage, "cached")
			put(gaugeKVBytes, float64(max(total-s.PagesUsed[i]-s.PagesCached[i], 0))*size, stage, "free")
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
		put(gaugeTick, s.SecondsPerTick)
		put(gaugePrefixQueries, float64(s.PrefixQueries))
		put(gaugePrefixHits, float64(s.PrefixHits))
		put(gaugeAudits, float64(s.Audits))
		put(gaugeMismatches, float64(s.Mismatches))
	}
}
