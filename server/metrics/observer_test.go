package metrics

import (
	"flag"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/loopserve/loopserve/internal/docs"
	"github.com/loopserve/loopserve/loopctl"
)

func scrape(t *testing.T, m *Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A tick and a sequence's end are counted under the model's name; a histogram is there when something was observed.
func TestObserver(t *testing.T) {
	m := New()
	o := m.Observer("adder")
	tick := &loopctl.TickStats{Tokens: []loopctl.TokenStats{{Loops: 8, First: true}, {Loops: 8, After: time.Millisecond}}, Prefill: 3, Runnable: 9, Drafted: 4, Accepted: 1, Exits: [][]int{{0, 0, 5}}}
	tick.Calls[loopctl.StageBlock] = loopctl.CallStats{Rows: 6, Took: 3 * time.Millisecond}
	o.Tick(tick)
	before := scrape(t, m)
	now := time.Now()
	o.Finished(&loopctl.Request{Loops: 8, TargetITL: time.Second}, loopctl.Event{Finish: loopctl.FinishStop, Stats: &loopctl.Stats{
		Arrived: now, Scheduled: now.Add(time.Second), FirstToken: now.Add(2 * time.Second), Finished: now.Add(4 * time.Second),
		PromptTokens: 3, CompletionTokens: 5, LoopsTotal: 20, LoopsGranted: 6, PromptRows: 3, PromptLoops: 18, LoopsSaved: 2,
	}})
	after := scrape(t, m)
	for line, text := range map[string]string{
		`ticks_total{model_name="adder"} 1`:                                       before,
		`sampled_tokens_total{model_name="adder"} 2`:                              before,
		`depth_bubbles_total{model_name="adder"} 3`:                               before,
		`draft_tokens_total{model_name="adder"} 4`:                                before,
		`draft_accepted_tokens_total{model_name="adder"} 1`:                       before,
		`probe_rows_total{model_name="adder"} 0`:                                  before,
		`exits_total{depth="2",model_name="adder",policy="none"} 5`:               before,
		`loop_steps_total{model_name="adder",phase="prefill"} 3`:                  before,
		`loop_steps_total{model_name="adder",phase="decode"} 3`:                   before,
		`block_call_seconds_count{model_name="adder",rows_bucket="8"} 1`:          before,
		`prompt_tokens_total{model_name="adder"} 3`:                               after,
		`generation_tokens_total{model_name="adder"} 5`:                           after,
		`loops_saved_total{model_name="adder"} 2`:                                 after,
		`degraded_requests_total{model_name="adder",reason="target_itl"} 1`:       after,
		`request_success_total{finished_reason="stop",model_name="adder"} 1`:      after,
		`request_queue_time_seconds_sum{model_name="adder"} 1`:                    after,
		`request_decode_time_seconds_sum{model_name="adder"} 2`:                   after,
		`request_time_per_output_token_seconds_sum{model_name="adder"} 0.5`:       after,
		`loops_per_request_sum{model_name="adder"} 4`:                             after,
		`loops_per_token_sum{model_name="adder",phase="prefill",policy="none"} 6`: after,
	} {
		if !strings.Contains(text, "\nloopserve_"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(before, "model_load_seconds") || strings.Contains(before, "loops_per_request") {
		t.Error("a histogram is there before anything was observed")
	}
	b := m.Blocks("adder")
	if want := (loopctl.Blocks{Calls: 1, Rows: 6, Runnable: 9, Took: 3 * time.Millisecond}); b != want {
		t.Errorf("blocks %+v, want %+v", b, want)
	}
	if m.Blocks("hop").Calls > 0 {
		t.Error("blocks of a model that reports nothing")
	}
}

// A tick in which each of 64 sequences has a token.
func BenchmarkTick(b *testing.B) {
	o := New().Observer("adder")
	tick := &loopctl.TickStats{Runnable: 64}
	for range 64 {
		tick.Tokens = append(tick.Tokens, loopctl.TokenStats{Loops: 8, After: time.Millisecond})
	}
	for stage := range tick.Calls {
		tick.Calls[stage].Rows = 64
	}
	b.ReportAllocs()
	for b.Loop() {
		o.Tick(tick)
	}
}

// everything gathers a registry in which every metric has a value.
func everything(t *testing.T, m *Registry) []*dto.MetricFamily {
	t.Helper()
	m.Watch(func() []Served {
		return []Served{{Name: "adder", PageBytes: [3]int64{1, 1, 1}, Loaded: func() (bool, int64) { return true, 1 }, Snapshot: func() loopctl.Snapshot {
			return loopctl.Snapshot{PagesTotal: [3]int{4, 4, 4}, RowsByDepth: []int{1}}
		}}}
	})
	for _, d := range defined {
		labels := make([]string, len(strings.Fields(d.labels)))
		if d.buckets == nil {
			m.counters[d.name].WithLabelValues(labels...).Inc()
		} else {
			m.histograms[d.name].WithLabelValues(labels...).Observe(1)
		}
	}
	families, err := m.gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// promtool check metrics finds nothing: what ends in _total is a counter, each name has help and a unit, and so on.
func TestLint(t *testing.T) {
	for _, aliases := range []bool{false, true} {
		m := New()
		if aliases {
			m.AliasVLLM()
		}
		problems, err := promlint.NewWithMetricFamilies(everything(t, m)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			if !strings.HasPrefix(p.Metric, "vllm:") { // their names are as they are
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		}
	}
}

var update = flag.Bool("update", false, "write the list of metrics in docs/operations.md instead of comparing it")

// docs/operations.md lists what there is to scrape.
func TestDocsListTheMetrics(t *testing.T) {
	list := "| metric `loopserve_…` | type | labels beside `model_name` | vLLM | meaning |\n|---|---|---|---|---|\n"
	for _, f := range everything(t, New()) {
		name, ours := strings.CutPrefix(f.GetName(), namespace+"_")
		if !ours {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			if l.GetName() != "model_name" {
				labels = append(labels, l.GetName())
			}
		}
		alias := map[bool]string{true: "yes"}[slices.Contains(vllmNames, name)]
		list += fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), alias, f.GetHelp())
	}
	docs.Hold(t, "../../docs/operations.md", *update, "go test ./server/metrics -run DocsList -update", docs.Part{Begin: "<!-- metrics -->\n", End: "<!-- end -->", Text: list})
}
