package measure_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/measure"
)

// arithmetic is a client whose times are made up: 2 ms and 3 ms per loop for the first token, then 1 ms per loop each.
type arithmetic struct {
	mu    sync.Mutex
	seeds map[int64]bool
	calls int
	fail  int // the call that fails
}

var errBroken = errors.New("broken")

func (a *arithmetic) Do(_ context.Context, q measure.Ask) (*measure.Reply, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seeds == nil {
		a.seeds = map[int64]bool{}
	}
	a.seeds[q.Seed] = true
	if a.calls++; a.calls == a.fail {
		return nil, errBroken
	}
	r := &measure.Reply{Start: time.Unix(1000, 0), Tokens: q.MaxTokens, Loops: q.MaxTokens * q.Loops}
	at := time.Duration(2+3*q.Loops) * time.Millisecond
	for range q.MaxTokens {
		r.Stamps = append(r.Stamps, at)
		at += time.Duration(q.Loops) * time.Millisecond
	}
	r.TTFT, r.E2E = r.Stamps[0], r.Stamps[len(r.Stamps)-1]
	return r, nil
}

var plan = measure.Plan{Loops: []int{1, 2, 4}, Concurrency: []int{1, 2}, PromptTokens: []int{5}, MaxTokens: []int{11}, Runs: 2, WarmUp: 1}

func sweep(t *testing.T) *measure.SweepResult {
	t.Helper()
	p, last := plan, 0
	p.Progress = func(done, total int, _ measure.Shape) { last = total - done }
	a := &arithmetic{}
	r, err := measure.Sweep(t.Context(), a, p)
	if err != nil {
		t.Fatal(err)
	}
	if last != 0 || len(a.seeds) != 3*3*3 || a.calls != len(a.seeds) {
		t.Errorf("progress ended %d short; %d prompts in %d calls, want 27", last, len(a.seeds), a.calls)
	}
	r.Model, r.Target, r.Date = "adder", "in-process", "2026-01-02T03:04:05Z"
	return r
}

func TestSweep(t *testing.T) {
	r := sweep(t)
	if len(r.Points) != 6 {
		t.Fatalf("%d points", len(r.Points))
	}
	p := r.Points[5] // loops 4, 2 clients: 11 tokens each in 14 + 40 ms
	if p.Shape != (measure.Shape{Loops: 4, Load: measure.Load{Concurrency: 2, PromptTokens: 5, MaxTokens: 11}}) || p.Requests != 4 || p.ITL.N != 40 {
		t.Errorf("%+v", p)
	}
	for name, got := range map[string][2]float64{
		"ttft": {p.TTFT.P50, 14}, "e2e": {p.E2E.P99, 54}, "itl": {p.ITL.Min, 4}, "tpot": {p.TPOT.Max, 4},
		"tokens/s": {p.TokensPerSecond.P50, 22 / 0.054}, "loops/s": {p.LoopsPerSecond.P50, 88 / 0.054}, "mean loops": {p.MeanLoops, 4},
	} {
		if math.Abs(got[0]-got[1]) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, got[0], got[1])
		}
	}
	if p.MSPerBlockCall != nil {
		t.Error("nobody counts block calls, and yet there is a number")
	}
	// e2e = 2 + 3·loops + 10·loops
	if f := r.Fit; f.Metric != "e2e" || math.Abs(f.A-2) > 1e-9 || math.Abs(f.B-13) > 1e-9 || math.Abs(f.R2-1) > 1e-9 || len(f.Residuals) != 3 || math.Abs(f.Residuals[1].MS) > 1e-9 {
		t.Errorf("fit %+v", f)
	}
	if len(r.Fits) != 6 {
		t.Errorf("%d fits, want one for each metric and concurrency", len(r.Fits))
	}
}

func TestSweepStopsAtAFailure(t *testing.T) {
	_, err := measure.Sweep(t.Context(), &arithmetic{fail: 3}, plan)
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "loops 4, concurrency 1") {
		t.Errorf("got %v", err)
	}
	bad := plan
	bad.Concurrency = []int{0}
	if _, err := measure.Sweep(t.Context(), &arithmetic{}, bad); err == nil || !strings.Contains(err.Error(), "concurrency is 0: must be at least 1") {
		t.Errorf("got %v", err)
	}
}

func TestOneLoopCountHasNoLine(t *testing.T) {
	p := plan
	p.Loops = []int{3}
	r, err := measure.Sweep(t.Context(), &arithmetic{}, p)
	if err != nil || r.Fit != nil || len(r.Fits) != 0 {
		t.Errorf("%v %+v", err, r.Fits)
	}
}

// A plot used to leave out every group after the fourth without a word.
func TestLatencyPlotSaysWhatIsMissing(t *testing.T) {
	p := plan
	p.Concurrency, p.MaxTokens = []int{1, 2, 3}, []int{2, 3}
	r, err := measure.Sweep(t.Context(), &arithmetic{}, p)
	if err != nil {
		t.Fatal(err)
	}
	if svg := write(t, measure.Latency, r); !strings.Contains(svg, "(4 of 6 groups)") {
		t.Errorf("%.400s", svg)
	}
}

func write(t *testing.T, format string, result any) string {
	t.Helper()
	var b bytes.Buffer
	if err := measure.Write(&b, format, result); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestOutputs(t *testing.T) {
	r := sweep(t)
	text := write(t, measure.JSON, r)
	for _, want := range []string{`"loops": 4`, `"ttft_ms"`, `"a_ms": `, `"b_ms_per_loop": `, `"r2": 1`, `"ms_per_block_call": null`} {
		if !strings.Contains(text, want) {
			t.Errorf("JSON lacks %s", want)
		}
	}
	var back measure.SweepResult
	if err := json.Unmarshal([]byte(text), &back); err != nil || back.Points[0].Concurrency != 1 {
		t.Errorf("%v", err)
	}
	rows, err := csv.NewReader(strings.NewReader(write(t, measure.CSV, r))).ReadAll()
	if err != nil || len(rows) != 7 || len(rows[0]) != 41 || rows[0][2] != "loops" || rows[1][2] != "1" {
		t.Errorf("%v: %v", err, rows)
	}
	lines := write(t, measure.Benchstat, r)
	want := "BenchmarkServe/model=adder/loops=4/clients=2/prompt=5/tokens=11 1 54000000 ns/op 14000000 ttft-ns 4000000 tpot-ns 407.41 tok/s\n"
	if strings.Count(lines, want) != 2 || strings.Count(lines, "Benchmark") != 12 {
		t.Errorf("%s", lines)
	}
	table := write(t, measure.Table, r)
	if !strings.Contains(table, "e2e  = 2.00 ms + 13.000 ms · loops   (r² 1.0000") || !strings.Contains(table, "54.00…54.00") {
		t.Errorf("%s", table)
	}
	falling := write(t, measure.Table, &measure.SweepResult{Fits: []*measure.Fit{{Metric: "e2e", A: 7.61, B: -0.895}}}) // as on a noisy machine
	if !strings.Contains(falling, "7.61 ms − 0.895 ms · loops") {
		t.Errorf("%s", falling)
	}
	if svg := write(t, measure.Latency, r); !strings.Contains(svg, "2 + 13·loops") || !strings.Contains(svg, "2 clients, 5+11 tok") {
		t.Errorf("%s", svg)
	}
	if strings.Contains(write(t, measure.Latency, r), "groups)") {
		t.Error("a plot of all groups says that some are missing")
	}
	if svg := write(t, measure.Throughput, r); !strings.Contains(svg, "4 loops") {
		t.Errorf("%s", svg)
	}
}

// scriptedClock is a client whose answers take what it is told, one after another, by a clock of its own.
type scriptedClock struct {
	took  []time.Duration // of each answer, over and over
	calls int
}

func (s *scriptedClock) Do(_ context.Context, q measure.Ask) (*measure.Reply, error) {
	d := s.took[s.calls%len(s.took)]
	s.calls++
	return &measure.Reply{Start: time.Unix(1000, 0), Stamps: []time.Duration{d}, TTFT: d, E2E: d, Tokens: 1, Loops: q.Loops}, nil
}

// A point is measured for long enough, and for longer while its median is not known well; never without end.
func TestSweepTakesItsTime(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name              string
		took              []time.Duration
		least, most       time.Duration
		runs, requests    int
		warm, rounds, all int // all: requests of warm-ups, too
	}{
		{"once each", []time.Duration{ms}, 0, 0, 3, 3, 1, 3, 4},
		{"a run has its share", []time.Duration{ms}, 30 * ms, 200 * ms, 3, 30, 1, 3, 40},
		{"an answer is not cut", []time.Duration{25 * ms}, 30 * ms, 200 * ms, 3, 3, 0, 3, 3},
		{"wide: until the time is over", []time.Duration{ms, 3 * ms}, 40 * ms, 100 * ms, 2, 50, 0, 5, 50},
		{"one run says nothing of the next", []time.Duration{10 * ms}, 10 * ms, 100 * ms, 1, 2, 0, 2, 2},
		{"slow answers are not asked for again", []time.Duration{90 * ms, 110 * ms}, 10 * ms, 100 * ms, 2, 2, 0, 2, 2},
		{"no time at all", []time.Duration{0}, 30 * ms, 0, 2, 2, 0, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, last := &scriptedClock{took: tt.took}, 0
			r, err := measure.Sweep(t.Context(), c, measure.Plan{
				Loops: []int{1}, Concurrency: []int{1}, PromptTokens: []int{1}, MaxTokens: []int{1}, Vocab: 16,
				Runs: tt.runs, WarmUp: tt.warm, Least: tt.least, Most: tt.most, Progress: func(done, total int, _ measure.Shape) { last = total - done },
			})
			if err != nil {
				t.Fatal(err)
			}
			if p := r.Points[0]; p.Requests != tt.requests || len(p.Rounds) != tt.rounds || c.calls != tt.all || last != 0 {
				t.Errorf("%d requests in %d runs, %d in all, progress ended %d short", p.Requests, len(p.Rounds), c.calls, last)
			}
		})
	}
}

// The fit says how well it is known, and nothing where two loop counts leave nothing to judge by.
func TestFitHasAnInterval(t *testing.T) {
	f := sweep(t).Fit
	if f.BLow == nil || math.Abs(*f.BLow-13) > 1e-9 || math.Abs(*f.BHigh-13) > 1e-9 {
		t.Errorf("%+v", f)
	}
	p := plan
	p.Loops = []int{1, 4}
	r, err := measure.Sweep(t.Context(), &arithmetic{}, p)
	if err != nil || r.Fit.BLow != nil || r.Fit.R2 != 1 {
		t.Errorf("%v %+v", err, r.Fit)
	}
	var out strings.Builder
	low, high := 12.5, 13.5
	r.Fits = []*measure.Fit{{Metric: "e2e", A: 2, B: 13, BLow: &low, BHigh: &high, R2: 0.99}}
	if err := measure.Write(&out, measure.Table, r); err != nil || !strings.Contains(out.String(), "r² 0.9900, slope 12.500 to 13.500 with 95 %, ") {
		t.Errorf("%v %s", err, out.String())
	}
}
