//go:build cgo && linux

package app_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/internal/plot"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/ort"
)

// asked is a request of the soak, and what it got when it ran alone.
type asked struct {
	model  string
	body   map[string]any
	seeded bool
	alone  []string // each choice's text and how it ended
}

// soak is a server under random load. SECURITY.md says what it proves.
type soak struct {
	*testing.T

	url    string
	app    *app.App
	exact  map[string]bool // models whose logits are the same bits in any company
	models []string
	prompt map[string][]string

	compared, cancelled, refused, drawn, flipped atomic.Int64 // drawn and flipped: of seeded ones where a logit's last bit may differ
	ends                                         sync.Map     // error codes
}

// TestSoak runs for LOOPSERVE_SOAK (make soak DURATION=…): rounds in which requests run alone, and then again and again in random
// company, with cancels, slow readers and reloads, in pools of a few pages. After each round everything must be back at its baseline.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(cmp.Or(os.Getenv("LOOPSERVE_SOAK"), "0s"))
	if err != nil || length == 0 {
		t.Skip("LOOPSERVE_SOAK says for how long, as 5m; make soak DURATION=5m sets it:", err)
	}
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("LOOPSERVE_SOAK_SEED"), "1"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	ort.CheckLeaks(t)
	s := newSoak(t)
	began, rng := time.Now(), rand.New(rand.NewPCG(seed, 18))
	chart := plot.Chart{
		Title: "A server under random load", Desc: "Resident memory, Go's heap, open files and goroutines after each round.",
		X: plot.Axis{Label: "minutes", Zero: true}, Y: plot.Axis{Label: "MiB, or number", Zero: true},
	}
	var first, last [4]float64
	for round := 0; round < 3 || time.Since(began) < length; round++ {
		s.round(rng, min(length/3, time.Minute))
		last = s.settled()
		minutes := time.Since(began).Minutes()
		for i, v := range last {
			chart.Add(held[i].name, plot.Point{X: minutes, Y: v})
			if round < 2 { // pools and caches fill
				first[i] = max(first[i], v)
			}
		}
		t.Logf("%5.1f min, seed %d: %d compared, %d of %d seeded ones flipped a near tie, %d cancelled, %d refused; held: %.0f",
			minutes, seed, s.compared.Load(), s.flipped.Load(), s.drawn.Load(), s.cancelled.Load(), s.refused.Load(), last)
	}
	for i, h := range held {
		if last[i] > first[i]*h.times+h.more {
			t.Errorf("%s: %.1f after the first rounds, %.1f at the end", h.name, first[i], last[i])
		}
	}
	if n := s.compared.Load(); float64(n) < max(100, 2*length.Seconds()) || s.refused.Load()*20 > n || s.flipped.Load()*200 > s.drawn.Load()+200 {
		t.Errorf("%d answers were compared, %d refused; %d of %d seeded ones differ", n, s.refused.Load(), s.flipped.Load(), s.drawn.Load())
	}
	s.ends.Range(func(code, n any) bool { t.Logf("%6d times %v", n.(*atomic.Int64).Load(), code); return true })
	if path := os.Getenv("LOOPSERVE_SOAK_PLOT"); path != "" {
		if err := os.WriteFile(path, chart.SVG(), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func newSoak(t *testing.T) *soak {
	dir := t.TempDir()
	m, err := random.Parse("hidden=64,layers=2,heads=4,ffn=128,vocab=15,context=128,loops=8,weights=int4")
	if err != nil {
		t.Fatal(err)
	}
	hf := filepath.Join(t.TempDir(), "checkpoint")
	if err := m.Write(hf, m.Seed); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		data, err := os.ReadFile(filepath.Join("../../models/adder", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(hf, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := export.Export(t.Context(), hf, filepath.Join(dir, "int4"), export.Options{Weights: m.Weights}); err != nil {
		t.Fatal(err)
	}
	s := &soak{T: t, models: []string{"adder", "hop", "mod7", "int4"}, exact: map[string]bool{"int4": true}, prompt: map[string][]string{}}
	for _, name := range s.models[:3] {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS("../../models/"+name)); err != nil {
			t.Fatal(err)
		}
		problems, err := os.ReadFile("../../models/" + name + "/eval.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(problems)) {
			var p struct{ Prompt string }
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			s.prompt[name] = append(s.prompt[name], p.Prompt)
		}
	}
	s.prompt["int4"] = s.prompt["adder"]
	s.url, s.app = startMany(t, dir, map[string]string{
		"kv_memory": "2MiB", "max_running": "12", "queue_limit": "40", "reserve_tokens": "4", "max_rows": "48", "write_timeout": "5s",
	})
	return s
}

// draw makes a request.
func (s *soak) draw(rng *rand.Rand) *asked {
	a := &asked{model: s.models[rng.IntN(len(s.models))]}
	prompts := s.prompt[a.model]
	a.body = map[string]any{
		"model": a.model, "prompt": prompts[rng.IntN(len(prompts))], "max_tokens": 1 + rng.IntN(16), "loops": 1 + rng.IntN(16), "temperature": 0,
	}
	if a.model == "int4" {
		a.body["loops"], a.body["max_tokens"] = 1+rng.IntN(8), 1+rng.IntN(60)
	}
	maybe := func(one int, name string, value any) {
		if rng.IntN(one) == 0 {
			a.body[name] = value
		}
	}
	maybe(3, "ignore_eos", true)
	maybe(3, "n", 2+rng.IntN(6))
	if rng.IntN(3) == 0 {
		a.seeded = true
		a.body["temperature"], a.body["seed"] = 0.7+rng.Float64(), rng.IntN(1000)
	}
	switch rng.IntN(6) {
	case 0:
		a.body["exit_policy"], a.body["exit_threshold"] = "delta", 0.05
	case 1:
		a.body["exit_policy"] = "kl"
	case 2:
		a.body["loop_budget"] = 16 + rng.IntN(60)
	case 3:
		if delete(a.body, "ignore_eos"); a.model != "hop" {
			a.body["regex"] = `[0-9]{2,5}`
		}
	}
	maybe(4, "stop", "7")
	maybe(4, "priority", rng.IntN(3)-1)
	return a
}

// round draws requests, runs each alone, and then all of them in company.
func (s *soak) round(rng *rand.Rand, length time.Duration) {
	pool := make([]*asked, 40)
	for i := range pool {
		a := s.draw(rng)
		a.body["prefix_cache"] = false
		alone, code := s.ask(s.Context(), a, false, 0)
		if code != "" {
			s.Fatalf("alone: %s: %v", code, a.body)
		}
		delete(a.body, "prefix_cache")
		a.alone, pool[i] = alone, a
	}
	ctx, stop := context.WithTimeout(s.Context(), length)
	defer stop()
	var wg sync.WaitGroup
	for range 24 {
		own := rand.New(rand.NewPCG(rng.Uint64(), 1))
		wg.Go(func() {
			for ctx.Err() == nil {
				s.one(own, pool[own.IntN(len(pool))])
				time.Sleep(time.Duration(own.ExpFloat64() * float64(20*time.Millisecond)))
			}
		})
	}
	own := rand.New(rand.NewPCG(rng.Uint64(), 2))
	for ctx.Err() == nil {
		if err := s.app.Reload(s.Context(), s.models[own.IntN(len(s.models))]); err != nil {
			s.Errorf("reload: %v", err)
		}
		select {
		case <-time.After(time.Duration(own.ExpFloat64() * float64(2*time.Second))):
		case <-ctx.Done():
		}
	}
	wg.Wait()
}

// one asks once in company: streamed or not, read fast or slowly, to the end or not.
func (s *soak) one(rng *rand.Rand, a *asked) {
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	slow := time.Duration(0)
	if rng.IntN(8) == 0 {
		slow = time.Duration(rng.IntN(200)) * time.Millisecond
	}
	gone := rng.IntN(6) == 0
	if gone {
		time.AfterFunc(time.Duration(rng.IntN(30))*time.Millisecond, cancel)
	}
	got, code := s.ask(ctx, a, rng.IntN(2) == 0, slow)
	count, _ := s.ends.LoadOrStore(cmp.Or(code, "an answer"), new(atomic.Int64))
	count.(*atomic.Int64).Add(1)
	switch {
	case code == "cancelled" && gone:
		s.cancelled.Add(1)
	case code == "503 queue_full" || code == "503 model_unavailable": // the rest says that something is wrong
		s.refused.Add(1)
	case code != "":
		s.Errorf("%s: %v", code, a.body)
	default:
		s.compared.Add(1)
		same := slices.Equal(got, a.alone)
		if a.seeded && !s.exact[a.model] {
			if s.drawn.Add(1); !same {
				s.flipped.Add(1)
			}
		} else if !same {
			s.Errorf("%v\nin company %q\nalone      %q", a.body, got, a.alone)
		}
	}
}

// ask sends a request and returns each choice's text and end, or a code that says why there is none.
func (s *soak) ask(ctx context.Context, a *asked, stream bool, slow time.Duration) (choices []string, code string) {
	body := map[string]any{"stream": stream}
	for k, v := range a.body {
		body[k] = v
	}
	data, _ := json.Marshal(body) // numbers and texts
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/completions", strings.NewReader(string(data)))
	if err != nil {
		return nil, err.Error()
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, "cancelled"
		}
		return nil, err.Error()
	}
	defer res.Body.Close()
	n, _ := a.body["n"].(int)
	texts, ends := make([]string, max(n, 1)), make([]string, max(n, 1))
	take := func(data []byte) error {
		var out struct {
			Choices []struct {
				Index int
				Text  string
				End   string `json:"finish_reason"`
			}
			Error *struct{ Code string }
		}
		if err := json.Unmarshal(data, &out); err != nil {
			return fmt.Errorf("%w in %q", err, data)
		}
		if out.Error != nil {
			return fmt.Errorf("%d %s", res.StatusCode, out.Error.Code)
		}
		for _, c := range out.Choices {
			texts[c.Index] += c.Text
			ends[c.Index] += c.End
		}
		time.Sleep(slow)
		return nil
	}
	if stream && res.StatusCode == http.StatusOK {
		err = measure.Events(res.Body, take)
	} else if data, readErr := io.ReadAll(res.Body); readErr == nil {
		err = take(data)
	} else {
		err = readErr
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, "cancelled"
	case err != nil:
		return nil, err.Error()
	}
	for i := range texts {
		if ends[i] == "" {
			return nil, "a choice without an end"
		}
		texts[i] += " " + ends[i]
	}
	return texts, ""
}

// held is what the process holds, with the soak's own client, and by how much it may grow after the first rounds.
var held = [4]struct {
	name        string
	times, more float64
}{{"resident, MiB", 1.25, 32}, {"Go heap, MiB", 1.5, 8}, {"open files", 1, 0}, {"goroutines", 1, 3}}

var gauge = regexp.MustCompile(`(?m)^loopserve_(num_requests_\w+|kv_pages_used|latents_used|loop_backlog_steps|invariant_mismatches_total)(?:\{.*\})? (\S+)$`)

// settled waits until nothing runs, and wants nothing to be held then.
func (s *soak) settled() [4]float64 {
	var left []string
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		left = nil
		all := gauge.FindAllStringSubmatch(get(s.T, s.url+"/metrics"), -1)
		for _, m := range all {
			if m[2] != "0" {
				left = append(left, m[0])
			}
		}
		if len(all) < 20 {
			s.Fatalf("%d gauges: are their names still these?", len(all))
		}
		if len(left) == 0 || time.Now().After(end) {
			break
		}
	}
	if len(left) > 0 {
		s.Errorf("held by nobody:\n%s", strings.Join(left, "\n"))
	}
	http.DefaultClient.CloseIdleConnections()
	time.Sleep(300 * time.Millisecond) // the server sees its connections close
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		s.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		s.Fatal(err)
	}
	rss := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	kib, _ := strconv.ParseFloat(string(rss[1]), 64)
	return [4]float64{kib / 1024, float64(m.HeapAlloc) / (1 << 20), float64(len(files)), float64(runtime.NumGoroutine())}
}
