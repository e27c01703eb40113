package metrics

import (
	"math/bits"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/loopserve/loopserve/loopctl"
)

// observer is one model's loopctl.Observer. It is called between native calls, and looks each series up in the registry once.
type observer struct {
	model      string
	m          *Registry
	counters   map[series]prometheus.Counter
	histograms map[series]prometheus.Observer

	mu     sync.Mutex // a benchmark reads blocks between ticks
	blocks loopctl.Blocks
}

// series is a metric with its labels behind the model's.
type series struct {
	name   string
	labels [2]string
}

// Observer returns what a model's controller reports to. Counters are 0 from then on, not missing.
func (m *Registry) Observer(model string) loopctl.Observer {
	o := &observer{model: model, m: m, counters: map[series]prometheus.Counter{}, histograms: map[series]prometheus.Observer{}}
	for _, d := range defined {
		if d.labels == "model_name" && d.buckets == nil {
			m.counters[d.name].WithLabelValues(model)
		}
	}
	for stage := range loopctl.Stage(3) {
		m.counters["call_errors_total"].WithLabelValues(model, stage.String())
	}
	m.observers.Store(model, o)
	return o
}

// found is the series of a metric, which is made at the first mention.
func found[T any, V interface{ WithLabelValues(values ...string) T }](known map[series]T, metrics map[string]V, model, name string, labels []string) T {
	key := series{name: name}
	copy(key.labels[:], labels)
	out, ok := known[key]
	if !ok {
		out = metrics[name].WithLabelValues(slices.Concat([]string{model}, labels)...)
		known[key] = out
	}
	return out
}

// add spares the many ticks in which there is nothing to add. labels come behind the model's.
func (o *observer) add(counter string, n int, labels ...string) {
	if n > 0 {
		found(o.counters, o.m.counters, o.model, counter, labels).Add(float64(n))
	}
}

func (o *observer) observe(histogram string, v float64, labels ...string) {
	found(o.histograms, o.m.histograms, o.model, histogram, labels).Observe(v)
}

func (o *observer) since(histogram string, from, to time.Time) {
	o.observe(histogram, to.Sub(from).Seconds())
}

// Blocks are a model's so far; none where no controller reports to m.
func (m *Registry) Blocks(model string) loopctl.Blocks {
	v, _ := m.observers.Load(model)
	o, ok := v.(*observer)
	if !ok {
		return loopctl.Blocks{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.blocks
}

// Tick implements loopctl.Observer.
func (o *observer) Tick(t *loopctl.TickStats) {
	o.add("ticks_total", 1)
	o.add("sampled_tokens_total", len(t.Tokens))
	o.observe("iteration_tokens", float64(len(t.Tokens)+t.Prefill))
	for _, token := range t.Tokens {
		o.observe("loops_per_token", float64(token.Loops), "decode", token.Exit.String())
		if !token.First {
			o.observe("inter_token_latency_seconds", token.After.Seconds())
		}
	}
	o.add("draft_tokens_total", t.Drafted)
	o.add("draft_accepted_tokens_total", t.Accepted)
	o.add("probe_rows_total", t.Probes)
	o.add("kv_fill_rows_total", t.Fills)
	for kind, byDepth := range t.Exits { // as many labels as there are policies and loops
		for depth, rows := range byDepth {
			o.add("exits_total", rows, loopctl.ExitKind(kind).String(), strconv.Itoa(depth))
		}
	}
	for i := range t.Calls {
		call, stage := &t.Calls[i], loopctl.Stage(i).String()
		if call.Rows == 0 {
			continue
		}
		o.observe("call_seconds", call.Took.Seconds(), stage)
		if call.Err != nil {
			o.add("call_errors_total", 1, stage)
		}
	}
	block := &t.Calls[loopctl.StageBlock]
	if block.Rows == 0 {
		return
	}
	o.mu.Lock()
	o.blocks.Add(loopctl.Blocks{Calls: 1, Rows: int64(block.Rows), Runnable: int64(max(t.Runnable, block.Rows)), Took: block.Took}, 1)
	o.mu.Unlock()
	o.observe("loop_batch_rows", float64(block.Rows))
	o.observe("block_call_seconds", block.Took.Seconds(), rowsBucket(block.Rows))
	o.add("loop_steps_total", t.Prefill, "prefill")
	o.add("loop_steps_total", block.Rows-t.Prefill, "decode")
	o.add("depth_bubbles_total", t.Runnable-block.Rows)
}

// rowsBucket labels a number of rows: the power of two that holds it, up to 256.
func rowsBucket(rows int) string {
	if rows > 256 {
		return "more"
	}
	return strconv.Itoa(1 << bits.Len(uint(rows-1)))
}

// Finished implements loopctl.Observer.
func (o *observer) Finished(r *loopctl.Request, last loopctl.Event) {
	o.add("request_success_total", 1, last.Finish.String())
	s := last.Stats
	if s == nil {
		return
	}
	o.observe("request_params_max_tokens", float64(r.MaxTokens))
	o.observe("request_params_loops", float64(r.Loops))
	o.add("prompt_tokens_total", s.PromptTokens)
	o.add("generation_tokens_total", s.CompletionTokens)
	o.add("loops_saved_total", s.LoopsSaved)
	o.add("num_preemptions_total", s.Preemptions)
	o.add("recomputed_rows_total", s.Recomputed)
	o.add("prompt_tokens_cached_total", s.CachedTokens)
	if r.Loops > 0 && s.LoopsGranted > 0 && s.LoopsGranted < r.Loops {
		reason := "backlog"
		if r.TargetITL > 0 { // the controller takes the lower of the two and does not say which it was
			reason = "target_itl"
		}
		o.add("degraded_requests_total", 1, reason)
	}
	if s.PromptRows > 0 {
		o.observe("loops_per_token", float64(s.PromptLoops)/float64(s.PromptRows), "prefill", r.Exit.Kind.String())
	}
	if !s.Scheduled.IsZero() {
		o.since("request_queue_time_seconds", s.Arrived, s.Scheduled)
	}
	if !s.FirstToken.IsZero() {
		o.since("time_to_first_token_seconds", s.Arrived, s.FirstToken)
		o.since("request_prefill_time_seconds", s.Scheduled, s.FirstToken)
	}
	if last.Finish == loopctl.FinishStop || last.Finish == loopctl.FinishLength {
		o.answered(s)
	}
}

// answered counts a sequence that has its whole answer.
func (o *observer) answered(s *loopctl.Stats) {
	o.since("e2e_request_latency_seconds", s.Arrived, s.Finished)
	o.since("request_inference_time_seconds", s.Scheduled, s.Finished)
	o.observe("request_prompt_tokens", float64(s.PromptTokens))
	o.observe("request_generation_tokens", float64(s.CompletionTokens))
	if s.CompletionTokens == 0 {
		return
	}
	o.since("request_decode_time_seconds", s.FirstToken, s.Finished)
	o.observe("loops_per_request", float64(s.LoopsTotal)/float64(s.CompletionTokens))
	if s.CompletionTokens > 1 {
		o.observe("request_time_per_output_token_seconds", s.Finished.Sub(s.FirstToken).Seconds()/float64(s.CompletionTokens-1))
	}
}
