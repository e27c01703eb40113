package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/generate"
	"github.com/loopserve/loopserve/server/metrics"
)

// engineLimits are those of the scripted engine.
func engineLimits(pages int) loopctl.Capacity {
	return loopctl.Capacity{
		MaxRows: 64, Latents: 64, PageSize: 4, Pages: [3]int{0, pages, 0}, Context: 64, Vocab: 256,
		Loops: loopctl.LoopRange{Min: 1, Default: 4, Trained: 8, Max: 12},
	}
}

// serveEngine puts a server on the real controller and the scripted engine. Its model is called adder.
func serveEngine(t *testing.T, pages int, fault func(loopctl.Stage, int) error) (*httptest.Server, *loopctl.Controller) {
	t.Helper()
	engine := loopctltest.New(engineLimits(pages))
	engine.Fault = fault
	return serveOn(t, engine, func(*generate.Model) {})
}

// serveOn does so with an engine that is there and a model that is what change makes of it.
func serveOn(t *testing.T, engine *loopctltest.Engine, change func(*generate.Model)) (*httptest.Server, *loopctl.Controller) {
	t.Helper()
	before := runtime.NumGoroutine()
	registry := metrics.New()
	ctl := loopctl.New(engine, loopctl.Config{QueueLimit: 64, MaxRunning: 16, Observer: registry.Observer("adder"), Logger: quiet()})
	ctl.Start()
	srv := server.New(server.Config{}, quiet(), registry)
	m := model("adder", ctl)
	change(m)
	if err := srv.SetModels(m); err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(srv)
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := ctl.Close(context.Background()); err != nil {
			t.Error(err)
		}
		ts.CloseClientConnections()
		ts.Close()
		ts.Client().CloseIdleConnections()
		if s := ctl.Snapshot(); s.Running != 0 || s.Waiting != 0 || s.PagesUsed[loopctl.StageBlock] != 0 || s.Backlog != 0 {
			t.Errorf("left behind: %+v", s)
		}
		if len(engine.Breaches) > 0 {
			t.Errorf("breaches: %v", engine.Breaches)
		}
		checkGoroutines(t, before)
	})
	return ts, ctl
}

// alone is what a request comes to on an engine of its own, without HTTP: tokens, and the loops of each. That this is right
// is what loopctl's tests prove.
func alone(t *testing.T, l loopctl.Capacity, r loopctl.Request) (tokens []int32, loops []int) {
	t.Helper()
	r.Sampler = loopctltest.Greedy{}
	ctl := loopctl.New(loopctltest.New(l), loopctl.Config{Logger: quiet()})
	streams, err := ctl.Submit(&r)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	ctl.Start()
	for {
		e, err := streams[0].Next(context.Background())
		if err != nil {
			break
		}
		tokens, loops = append(tokens, e.Token.ID), append(loops, e.Loops)
	}
	if err := ctl.Close(context.Background()); err != nil {
		t.Error(err)
	}
	return tokens, loops
}

// Alone or among fifteen others at other depths, over HTTP: the same tokens.
func TestMixedDepthsOverHTTP(t *testing.T) {
	ts, ctl := serveEngine(t, 2000, nil)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			loops, prompt := 1+i%12, strings.Repeat("ab", 1+i)
			var ids []int32
			for _, r := range prompt {
				ids = append(ids, r)
			}
			want, _ := alone(t, ctl.Capacity(), loopctl.Request{Prompt: ids, MaxTokens: 20, Loops: loops, StopIDs: []int32{0}})
			text, _ := letters{}.Decode(want, true)
			text = strings.TrimSuffix(text, "\x00")
			stream := i%2 == 0
			a := post(t, ts, fmt.Sprintf(`{"prompt":%q,"max_tokens":20,"temperature":0,"loops":%d,"stream":%v}`, prompt, loops, stream))
			got := ""
			if stream {
				for _, c := range chunks(t, a) {
					got += c.Choices[0].Text
				}
			} else {
				c := decode(t, a)
				got = c.Choices[0].Text
				if c.Usage.CompletionTokens != len(want) || c.Usage.CompletionTokensDetails.Loops.Total != len(want)*loops {
					t.Errorf("usage %+v", c.Usage)
				}
			}
			if got != text {
				t.Errorf("loops %d: got %q, want %q", loops, got, text)
			}
		})
	}
	wg.Wait()
}

func TestEngineFaultOverHTTP(t *testing.T) {
	ts, _ := serveEngine(t, 2000, func(stage loopctl.Stage, nth int) error {
		if stage == loopctl.StageBlock && nth == 1 {
			return errors.New("injected fault")
		}
		return nil
	})
	a := post(t, ts, `{"prompt":"ab","temperature":0}`)
	checkError(t, a, 500, "engine_error", "null", "the model's engine failed on this request; other requests are not affected")
	decode(t, post(t, ts, `{"prompt":"ab","temperature":0}`)) // the server goes on
}

func TestPagesOverHTTP(t *testing.T) {
	ts, _ := serveEngine(t, 8, nil)
	a := post(t, ts, `{"prompt":"ab","max_tokens":40,"loops":12}`)
	checkError(t, a, 400, "kv_memory_exceeded", "max_tokens", "not enough KV pages: block needs 132 pages and has 8 in all; lower max_tokens or loops, or give the server more pages")
	decode(t, post(t, ts, `{"prompt":"ab","max_tokens":4,"loops":2}`))
}

var metricLine = regexp.MustCompile(`^(loopserve_\w+)(?:\{([^}]*)\})? `)

// The names, types and labels of /metrics are an interface: dashboards stand on them.
func TestMetricNames(t *testing.T) {
	ts, _ := serveEngine(t, 2000, nil)
	decode(t, post(t, ts, `{"prompt":"ab","temperature":0,"loops":3}`))
	a := send(t, ts, "GET", "/metrics", "")
	types := map[string]string{}
	labels := map[string][]string{}
	for line := range strings.Lines(a.body) {
		if rest, ok := strings.CutPrefix(line, "# TYPE loopserve_"); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(rest), " ")
			types["loopserve_"+name] = kind
		}
		m := metricLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := m[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); types[base] == "histogram" {
				name = base
			}
		}
		for _, pair := range strings.Split(m[2], ",") {
			key, _, _ := strings.Cut(pair, "=")
			if key != "le" && key != "" && !slices.Contains(labels[name], key) {
				labels[name] = append(labels[name], key)
			}
		}
	}
	var got []string
	for name, kind := range types {
		slices.Sort(labels[name])
		got = append(got, fmt.Sprintf("%s %s {%s}\n", name, kind, strings.Join(labels[name], ",")))
	}
	slices.Sort(got)
	const golden = "testdata/metrics.golden"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(strings.Join(got, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(got, "") != string(want) {
		t.Errorf("UPDATE_GOLDEN=1 rewrites %s; got\n%s", golden, strings.Join(got, ""))
	}
	for _, line := range []string{
		`loopserve_request_success_total{finished_reason="length",model_name="adder"} 1`,
		`loopserve_prompt_tokens_total{model_name="adder"} 2`,
		`loopserve_generation_tokens_total{model_name="adder"} 16`,
		`loopserve_loop_steps_total{model_name="adder",phase="prefill"} 6`,
		`loopserve_loop_steps_total{model_name="adder",phase="decode"} 45`,
		`loopserve_http_requests_total{handler="/v1/completions",method="POST",status="200"} 1`,
		`loopserve_loops_per_token_sum{model_name="adder",phase="decode",policy="none"} 48`,
		`loopserve_inter_token_latency_seconds_count{model_name="adder"} 15`,
		`loopserve_exits_total{depth="3",model_name="adder",policy="none"} 17`,
	} {
		if !strings.Contains(a.body, line+"\n") {
			t.Errorf("not in /metrics: %s", line)
		}
	}
	if !json.Valid([]byte(send(t, ts, "GET", "/version", "").body)) {
		t.Error("version is not JSON")
	}
}
