package metrics

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/loopserve/loopserve/loopctl"
)

// observer is one model's loopctl.Observer. What it counts in every tick is resolved once: it is called between native
// calls.
type observer struct {
	model      string
	m          *Registry
	counters   map[string]prometheus.Counter  // those whose only label is the model
	histograms map[string]prometheus.Observer // likewise, made at the first observation
	parked     prometheus.Gauge

	prefillSteps, decodeSteps prometheus.Counter
	exits                     [][]prometheus.Counter // by ExitKind and loops done, made at the first of each
	calls                     [3]prometheus.Observer
	errors                    [3]prometheus.Counter
	byRows                    []prometheus.Observer // parallel to rowBuckets, and one more for all above

	mu     sync.Mutex // a benchmark reads blocks between ticks
	blocks Blocks
}

var (
	rowBuckets = []int{1, 2, 4, 8, 16, 32, 64, 128, 256}
	rowLabels  = []string{"1", "2", "4", "8", "16", "32", "64", "128", "256", "more"}
)

// Observer returns what a model's controller reports to.
func (m *Registry) Observer(model string) loopctl.Observer {
	steps := m.counters["loop_steps_total"]
	o := &observer{
		model: model, m: m, counters: map[string]prometheus.Counter{}, histograms: map[string]prometheus.Observer{},
		parked:       m.parked.WithLabelValues(model),
		prefillSteps: steps.WithLabelValues(model, "prefill"), decodeSteps: steps.WithLabelValues(model, "decode"),
	}
	for _, d := range defined {
		if d.labels == "model_name" && d.buckets == nil {
			o.counters[d.name] = m.counters[d.name].WithLabelValues(model)
		}
	}
	for i := range o.calls {
		stage := loopctl.Stage(i).String()
		o.calls[i] = m.histograms["call_seconds"].WithLabelValues(model, stage)
		o.errors[i] = m.counters["call_errors_total"].WithLabelValues(model, stage)
	}
	for _, label := range rowLabels {
		o.byRows = append(o.byRows, m.histograms["block_call_seconds"].WithLabelValues(model, label))
	}
	m.observers.Store(model, o)
	return o
}

// add spares the many ticks in which there is nothing to add.
func (o *observer) add(counter string, n int) {
	if n > 0 {
		o.counters[counter].Add(float64(n))
	}
}

func (o *observer) observe(histogram string, v float64) {
	h := o.histograms[histogram]
	if h == nil {
		h = o.m.histograms[histogram].WithLabelValues(o.model)
		o.histograms[histogram] = h
	}
	h.Observe(v)
}

func (o *observer) since(histogram string, from, to time.Time) {
	o.observe(histogram, to.Sub(from).Seconds())
}

// Blocks are sums over a model's block calls.
type Blocks struct {
	Calls, Rows int64
	Runnable    int64 // rows that could have been in the calls, had there been room
	Took        time.Duration
}

// Blocks are a model's so far; false says that no controller reports to m.
func (m *Registry) Blocks(model string) (Blocks, bool) {
	v, _ := m.observers.Load(model)
	o, ok := v.(*observer)
	if !ok {
		return Blocks{}, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.blocks, true
}

// Tick implements loopctl.Observer.
func (o *observer) Tick(t *loopctl.TickStats) {
	o.add("ticks_total", 1)
	o.add("sampled_tokens_total", t.Tokens)
	o.observe("iteration_tokens_total", float64(t.Tokens+t.Prefill))
	o.parked.Set(float64(t.Parked))
	o.add("draft_tokens_total", t.Drafted)
	o.add("draft_accepted_tokens_total", t.Accepted)
	o.add("probe_rows_total", t.Probes)
	o.add("kv_fill_rows_total", t.Fills)
	o.left(t.Exits)
	for i := range t.Calls {
		call := &t.Calls[i]
		if call.Rows == 0 {
			continue
		}
		o.calls[i].Observe(call.Took.Seconds())
		if call.Err != nil {
			o.errors[i].Inc()
		}
	}
	block := &t.Calls[loopctl.StageBlock]
	if block.Rows == 0 {
		return
	}
	o.mu.Lock()
	o.blocks.Calls++
	o.blocks.Rows += int64(block.Rows)
	o.blocks.Runnable += int64(max(t.Runnable, block.Rows))
	o.blocks.Took += block.Took
	o.mu.Unlock()
	o.observe("loop_batch_rows", float64(block.Rows))
	o.byRows[rowBucket(block.Rows)].Observe(block.Took.Seconds())
	o.prefillSteps.Add(float64(t.Prefill))
	o.decodeSteps.Add(float64(max(block.Rows-t.Prefill, 0)))
	o.add("depth_bubbles_total", t.Runnable-block.Rows)
}

// left counts the rows that left the loop. The labels are bounded: by the policies, and by the model's most loops.
func (o *observer) left(exits [][]int) {
	for kind, byDepth := range exits {
		for depth, rows := range byDepth {
			if rows > 0 {
				o.exit(kind, depth).Add(float64(rows))
			}
		}
	}
}

func (o *observer) exit(kind, depth int) prometheus.Counter {
	for len(o.exits) <= kind {
		o.exits = append(o.exits, nil)
	}
	for len(o.exits[kind]) <= depth {
		o.exits[kind] = append(o.exits[kind], nil)
	}
	c := o.exits[kind][depth]
	if c == nil {
		c = o.m.counters["exits_total"].WithLabelValues(o.model, loopctl.ExitKind(kind).String(), strconv.Itoa(depth))
		o.exits[kind][depth] = c
	}
	return c
}

func rowBucket(rows int) int {
	for i, most := range rowBuckets {
		if rows <= most {
			return i
		}
	}
	return len(rowBuckets)
}

// Finished implements loopctl.Observer.
func (o *observer) Finished(r *loopctl.Request, last loopctl.Event) {
	o.m.counters["request_success_total"].WithLabelValues(o.model, last.Finish.String()).Inc()
	s := last.Stats
	if s == nil {
		return
	}
	o.add("prompt_tokens_total", s.PromptTokens)
	o.add("generation_tokens_total", s.CompletionTokens)
	o.add("loops_saved_total", s.LoopsSaved)
	o.add("num_preemptions_total", s.Preemptions)
	o.add("prompt_tokens_cached_total", s.CachedTokens)
	if r.Loops > 0 && s.LoopsGranted > 0 && s.LoopsGranted < r.Loops {
		reason := "backlog"
		if r.TargetITL > 0 { // the controller takes the lower of the two and does not say which it was
			reason = "target_itl"
		}
		o.m.counters["degraded_requests_total"].WithLabelValues(o.model, reason).Inc()
	}
	if rows := s.PromptTokens - s.CachedTokens; rows > 0 && s.PromptLoops > 0 {
		mean := float64(s.PromptLoops) / float64(rows)
		o.m.histograms["loops_per_token"].WithLabelValues(o.model, "prefill", r.Exit.Kind.String()).Observe(mean)
	}
	if !s.Scheduled.IsZero() {
		o.since("request_queue_time_seconds", s.Arrived, s.Scheduled)
	}
	if s.FirstToken.IsZero() {
		return
	}
	o.since("time_to_first_token_seconds", s.Arrived, s.FirstToken)
	o.since("request_prefill_time_seconds", s.Scheduled, s.FirstToken)
	if last.Finish != loopctl.FinishStop && last.Finish != loopctl.FinishLength {
		return
	}
	o.since("e2e_request_latency_seconds", s.Arrived, s.Finished)
	o.since("request_inference_time_seconds", s.Scheduled, s.Finished)
	o.since("request_decode_time_seconds", s.FirstToken, s.Finished)
	o.observe("request_prompt_tokens", float64(s.PromptTokens))
	o.observe("request_generation_tokens", float64(s.CompletionTokens))
	if s.CompletionTokens > 1 {
		o.observe("request_time_per_output_token_seconds", s.Finished.Sub(s.FirstToken).Seconds()/float64(s.CompletionTokens-1))
	}
	if s.CompletionTokens > 0 {
		o.observe("loops_per_request", float64(s.LoopsTotal)/float64(s.CompletionTokens))
	}
}
