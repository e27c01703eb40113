package metrics

import (
	"slices"
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
func (m *Registry) Watch(served func() []Served) { m.registry.MustRegister(gauges{served}) }

// gauges is a prometheus.Collector over the controllers' snapshots. What it gives is known when it is asked, so Describe
// says nothing.
type gauges struct{ served func() []Served }

// Describe implements prometheus.Collector.
func (gauges) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	for _, m := range g.served() {
		m.collect(ch)
	}
}

func (m *Served) collect(ch chan<- prometheus.Metric) {
	// labels are names and values in turn.
	put := func(kind prometheus.ValueType, v float64, name, help string, labels ...string) {
		names, values := []string{"model_name"}, []string{m.Name}
		for pair := range slices.Chunk(labels, 2) {
			names, values = append(names, pair[0]), append(values, pair[1])
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(namespace+"_"+name, help, names, nil), kind, v, values...)
	}
	const now, sum = prometheus.GaugeValue, prometheus.CounterValue
	if m.Loaded != nil {
		loaded, bytes := m.Loaded()
		put(now, float64(bytes), "model_bytes", "Memory of the model when loaded: weights, KV pages and buffers.")
		put(now, map[bool]float64{true: 1}[loaded], "model_loaded", "1 if the model is loaded, 0 if the next request loads it.")
	}
	s := m.Snapshot()
	put(now, float64(s.Running), "num_requests_running", "Running sequences.")
	put(now, float64(s.Waiting), "num_requests_waiting", "Waiting requests.")
	put(now, float64(s.Waiting), "num_requests_waiting_by_reason", "Waiting requests by reason; capacity: for slots or KV pages.", "reason", "capacity")
	put(now, float64(s.Parked), "num_requests_parked", "Backpressured sequences: paused until their client reads.")
	fullest := 0.0
	for i, total := range s.PagesTotal {
		stage, used, cached, size := loopctl.Stage(i).String(), s.PagesUsed[i], s.PagesCached[i], float64(m.PageBytes[i])
		put(now, float64(used), "kv_pages_used", "KV pages allocated to or reserved for running sequences.", "stage", stage)
		put(now, float64(cached), "kv_pages_cached", "KV pages that only the prefix cache holds; evicted on demand.", "stage", stage)
		put(now, float64(total), "kv_pages", "Total KV pages.", "stage", stage)
		if total == 0 {
			continue
		}
		fullest = max(fullest, float64(used)/float64(total))
		for use, pages := range map[string]int{"running": used, "cached": cached, "free": max(total-used-cached, 0)} {
			put(now, float64(pages)*size, "kv_bytes", "Memory of the KV pages by use: running, cached or free.", "stage", stage, "use", use)
		}
	}
	block := loopctl.StageBlock
	put(now, 1, "cache_config_info", "Always 1; its labels are the tokens per KV page and the KV pages of the looped layers.",
		"block_size", strconv.Itoa(s.PageSize), "num_gpu_blocks", strconv.Itoa(s.PagesTotal[block]))
	put(now, 0, "lora_requests_info", "Always 0: there are no adapters, but endpoint pickers read it.",
		"max_lora", "0", "running_lora_adapters", "", "waiting_lora_adapters", "")
	put(now, fullest, "kv_cache_usage_perc", "Fraction of KV pages in use or reserved, 0 to 1, of the fullest stage.")
	put(now, float64(s.LatentsUsed), "latents_used", "Hidden-state slots in use.")
	put(now, float64(s.LatentsTotal), "latents", "Total hidden-state slots.")
	for depth, rows := range s.RowsByDepth {
		put(now, float64(rows), "depth_occupancy", "Rows in the loop, by loops done.", "depth", strconv.Itoa(depth))
	}
	put(now, float64(s.Backlog), "loop_backlog_steps", "Backlog: accepted and unfinished loop steps, rows times loops.")
	put(now, float64(s.Backlog)*s.SecondsPerLoopStep, "loop_debt_seconds", "Backlog in seconds: loop_backlog_steps times loop_step_seconds; the longest that a new request may wait.")
	put(now, s.SecondsPerLoopStep, "loop_step_seconds", "Running mean of an engine step's time per row of its block call.")
	put(now, s.SecondsPerTick, "tick_seconds", "Running mean of an engine step's time; a decode row does one loop per step.")
	put(sum, float64(s.PrefixQueries), "prefix_cache_queries_total", "Tokens of admitted requests looked up in the prefix cache.")
	put(sum, float64(s.PrefixHits), "prefix_cache_hits_total", "Tokens of admitted requests found in the prefix cache.")
	put(sum, float64(s.Audits), "invariant_audits_total", "Audits of the KV page accounts, made while nothing runs.")
	put(sum, float64(s.Mismatches), "invariant_mismatches_total", "Audits that failed, after which the accounts were rebuilt.")
}
