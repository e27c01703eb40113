package server_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/api"
)

type benchAnswer struct {
	ID, Status string
	Progress   struct{ Done, Total int }
	Error      *struct{ Message, Code string }
	Result     *struct {
		Points []struct {
			Loops, Concurrency int
			RowsPerCall        *float64 `json:"rows_per_call"`
			E2E                struct {
				N   int
				P50 float64
			} `json:"e2e_ms"`
		}
		Fit *struct {
			B float64 `json:"b_ms_per_loop"`
		}
	}
}

func readBench(t *testing.T, a answer, status int) (b benchAnswer) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func await(t *testing.T, ts *httptest.Server, id string) (b benchAnswer) {
	t.Helper()
	waitFor(t, 20*time.Second, "the benchmark's end", func() bool {
		b = readBench(t, send(t, ts, "GET", "/v1/bench/"+id, ""), 200)
		return b.Status != "running"
	})
	return b
}

func TestBench(t *testing.T) {
	ts, _ := serveEngine(t, 4000, func(stage loopctl.Stage, _ int) error {
		if stage == loopctl.StageBlock {
			time.Sleep(200 * time.Microsecond)
		}
		return nil
	})
	a := send(t, ts, "POST", "/v1/bench", `{"model":"adder","loops":[1,2,4],"concurrency":[1,2],"prompt_tokens":[4],"max_tokens":6,"runs":2}`)
	started := readBench(t, a, 202)
	if started.ID == "" || started.Progress.Total != 6*3 || a.header.Get("Location") != "/v1/bench/"+started.ID {
		t.Errorf("%+v %v", started, a.header)
	}
	events := send(t, ts, "GET", "/v1/bench/"+started.ID+"/events", "")
	if !strings.HasSuffix(events.body, "data: [DONE]\n\n") || !strings.Contains(events.body, `"status":"done"`) {
		t.Errorf("events %s", events.body)
	}
	b := await(t, ts, started.ID)
	if b.Status != "done" || len(b.Result.Points) != 6 || b.Result.Fit.B <= 0 || b.Progress.Done < 18 || b.Progress.Done != b.Progress.Total {
		t.Fatalf("%+v", b)
	}
	if p := b.Result.Points[5]; p.Loops != 4 || p.Concurrency != 2 || p.E2E.N < 4 || p.E2E.P50 < 4 || p.RowsPerCall == nil {
		t.Errorf("%+v", p)
	}
	for path, want := range map[string]string{
		"?format=csv":               "model,target,loops",
		"?format=benchstat":         "BenchmarkServe/model=adder/loops=4/clients=2/prompt=4/tokens=6",
		"/plot.svg":                 "Latency against loops: adder",
		"/plot.svg?kind=throughput": "Throughput against concurrency: adder",
	} {
		if a := send(t, ts, "GET", "/v1/bench/"+b.ID+path, ""); a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %.300s", path, a.status, a.body)
		}
	}
	checkError(t, send(t, ts, "GET", "/v1/bench/"+b.ID+"/plot.svg?kind=", ""), 400, "invalid_value", "kind",
		`kind is "": it must be one of latency, throughput`)
	if a := send(t, ts, "GET", "/v1/bench", ""); !strings.Contains(a.body, b.ID) {
		t.Errorf("list %s", a.body)
	}
	if a := send(t, ts, "DELETE", "/v1/bench/"+b.ID, ""); a.status != 200 || !strings.Contains(a.body, `"deleted":true`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	checkError(t, send(t, ts, "GET", "/v1/bench/"+b.ID, ""), 404, "bench_not_found", "null", fmt.Sprintf("benchmark %q is not known: GET /v1/bench lists the last 8", b.ID))
}

func TestBenchRefuses(t *testing.T) {
	ts, _ := serve(t, &script{text: "a"}, server.Config{Limits: api.Limits{LoopSteps: 5000}})
	for _, tt := range []struct{ body, code, param, says string }{
		{`{"loops":[1,99]}`, "invalid_value", "loops", "loops[1] is 99: it must be an integer from 1 to 12"},
		{`{"loops":0}`, "invalid_value", "loops", "loops is 0: it must be an integer from 1 to 12"},
		{`{"loops":[]}`, "invalid_value", "loops", "loops is an empty list: give at least one integer from 1 to 12"},
		{`{"loops":"4"}`, "invalid_type", "loops", "loops is \"4\", a string: it must be an integer from 1 to 12"},
		{`{"loops":[2,2]}`, "invalid_value", "loops", "loops[1] is 2, which is in the list already: give each number once"},
		{`{"concurrency":[65]}`, "invalid_value", "concurrency", "concurrency[0] is 65: it must be an integer from 1 to 64"},
		{`{"runs":0}`, "invalid_value", "runs", "runs is 0: it must be an integer from 1 to 50"},
		{`{"prompt_tokens":40,"max_tokens":40}`, "context_length_exceeded", "prompt_tokens", "prompt_tokens 40 and max_tokens 40 make 80: model adder has a context of 64 tokens"},
		{`{"loop":[1]}`, "unknown_field", "loop", `"loop" is not a field of a benchmark: the fields are model, loops, concurrency, prompt_tokens, max_tokens, runs, warmup, seed, force`},
		{`{"runs":50,"concurrency":[64]}`, "too_many_loop_steps", "null", "the benchmark takes 1566720 loop-steps (tokens × loops × clients × runs): at most 5000 are allowed: sweep fewer points, or fewer runs"},
	} {
		checkError(t, send(t, ts, "POST", "/v1/bench", tt.body), 400, tt.code, tt.param, tt.says)
	}
}

// One at a time; not beside requests, unless force says so; and deleting ends what runs.
func TestBenchTakesTurns(t *testing.T) {
	s := &script{text: "abcdefgh", finish: loopctl.FinishLength, gate: make(chan struct{})}
	ts, srv := serve(t, s, server.Config{})
	small := `{"loops":[1],"max_tokens":2,"runs":1,"force":%v}`
	open := make(chan answer, 1)
	go func() { open <- post(t, ts, `{"prompt":"x","max_tokens":1}`) }()
	waitFor(t, 5*time.Second, "a request", func() bool { n, _ := s.count(); return n > 0 })
	a := send(t, ts, "POST", "/v1/bench", fmt.Sprintf(small, false))
	if a.status != 503 || !strings.Contains(a.body, "server_busy") || !strings.Contains(a.body, "the server is busy: 1 requests are open: a benchmark") || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	first := readBench(t, send(t, ts, "POST", "/v1/bench", fmt.Sprintf(small, true)), 202)
	for _, force := range []bool{true, false} { // without force, too, whatever else the server does
		second := send(t, ts, "POST", "/v1/bench", fmt.Sprintf(small, force))
		if second.status != 409 || !strings.Contains(second.body, first.ID) || second.header.Get("x-should-retry") != "false" {
			t.Errorf("force %v: %d %s", force, second.status, second.body)
		}
	}
	checkError(t, send(t, ts, "GET", "/v1/bench/"+first.ID+"?format=csv", ""), 409, "bench_not_done", "null",
		"benchmark "+first.ID+" is running: there is a result only when it is done")
	if a := send(t, ts, "DELETE", "/v1/bench/"+first.ID, ""); a.status != 200 || !strings.Contains(a.body, `"cancelled"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	// A server that ends takes its benchmark with it.
	readBench(t, send(t, ts, "POST", "/v1/bench", fmt.Sprintf(small, true)), 202)
	close(s.gate)
	<-open
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBenchTellsOfFailure(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishError, err: loopctl.ErrEngine}
	ts, _ := serve(t, s, server.Config{})
	b := await(t, ts, readBench(t, send(t, ts, "POST", "/v1/bench", `{"loops":[1],"runs":1}`), 202).ID)
	if b.Status != "failed" || b.Error == nil || b.Error.Code != "engine_error" {
		t.Errorf("%+v", b)
	}
}
