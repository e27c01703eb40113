package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
	"github.com/loopserve/loopserve/server"
)

// crowd is a server on the scripted engine, which stands still in one of its calls until somebody small has come. It counts the
// ticks from there to the small one's end.
type crowd struct {
	*server.Server
	ctl     *loopctl.Controller
	reached chan struct{}
	release chan struct{}

	mu          sync.Mutex
	ticks, came int
	took        chan int
}

const smallPrompt = 2 // tokens

func (c *crowd) Tick(*loopctl.TickStats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ticks++
}

func (c *crowd) Finished(r *loopctl.Request, _ loopctl.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(r.Prompt) == smallPrompt {
		c.took <- c.ticks - c.came
	}
}

func (c *crowd) submit(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
	streams, err := c.ctl.Submit(reqs...)
	if len(reqs[0].Prompt) == smallPrompt {
		c.mu.Lock()
		c.came = c.ticks
		c.mu.Unlock()
		close(c.release)
	}
	return streams, err
}

// deaf is a client that reads nothing.
type deaf struct {
	ctx    context.Context //nolint:containedctx // its end is the client's
	header http.Header
}

func (d *deaf) Header() http.Header { return d.header }
func (d *deaf) WriteHeader(int)     {}
func (d *deaf) Flush()              {}
func (d *deaf) Write([]byte) (int, error) {
	<-d.ctx.Done()
	return 0, d.ctx.Err()
}

// Over HTTP, too, a small request has its token loops+2 ticks after it came, at most, beside each of those that held the
// scheduler before.
func TestFirstTokenBeside(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pages   int
		ready   func(*crowd) bool // when the small one comes
		bodies  []string
		another bool // connection
	}{
		{"a stream that nobody reads", 4000, func(c *crowd) bool { return c.ctl.Snapshot().Parked == 16 }, []string{`{"prompt":"attack","max_tokens":50,"n":16,"stream":true,"ignore_eos":true}`}, false},
		{"one that waits for pages", 40, func(c *crowd) bool { return c.ctl.Snapshot().Waiting == 1 }, []string{
			`{"prompt":"attack attack attack attack attack","max_tokens":20,"loops":2,"ignore_eos":true}`,
			`{"prompt":"attack attack attack attack attack","max_tokens":20,"loops":2,"ignore_eos":true}`,
		}, false},
		{"many sequences", 4000, func(c *crowd) bool { return c.ctl.Snapshot().Waiting == 16 }, []string{`{"prompt":"attack","max_tokens":50,"n":32,"loops":12,"ignore_eos":true}`}, true},
		{"the same, urgent", 4000, func(c *crowd) bool { return c.ctl.Snapshot().Waiting == 16 }, []string{`{"prompt":"attack","max_tokens":50,"n":32,"loops":12,"ignore_eos":true,"priority":-9}`}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{reached: make(chan struct{}), release: make(chan struct{}), took: make(chan int, 1)}
				engine := loopctltest.New(engineLimits(tt.pages))
				parks := strings.Contains(tt.bodies[0], "stream")
				stop, buffer := 3, 64
				if tt.another {
					stop = 60 // beyond the prompts, whose rows have all the latents
				}
				if parks {
					stop, buffer = 0, 2 // it stands still by itself
				}
				engine.Fault = func(stage loopctl.Stage, nth int) error {
					if stage == loopctl.StageBlock && nth == stop {
						close(c.reached)
						<-c.release
					}
					return nil
				}
				c.ctl = loopctl.New(engine, loopctl.Config{QueueLimit: 64, MaxRunning: 16, StreamBuffer: buffer, ReserveTokens: 8, Observer: c, Logger: quiet()})
				c.ctl.Start()
				c.Server = serverOf(t, model("adder", &generator{submit: c.submit, snapshot: c.ctl.Snapshot}))
				ctx, cancel := context.WithCancel(t.Context())
				var clients sync.WaitGroup
				ask := func(w http.ResponseWriter, body, remote string) {
					r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/completions", strings.NewReader(body))
					r.RemoteAddr = remote
					c.ServeHTTP(w, r)
				}
				for i, body := range tt.bodies {
					if i > 0 {
						<-c.reached
					}
					clients.Go(func() { ask(&deaf{ctx, http.Header{}}, body, "192.0.2.1:1") })
				}
				if !parks && len(tt.bodies) == 1 {
					<-c.reached
				}
				if synctest.Wait(); !tt.ready(c) { // the attack stands still
					t.Fatalf("%+v", c.ctl.Snapshot())
				}
				remote, w := "192.0.2.1:1", httptest.NewRecorder()
				if tt.another {
					remote = "192.0.2.1:2"
				}
				ask(w, `{"prompt":"ab","max_tokens":1,"loops":4,"temperature":0}`, remote)
				if took := <-c.took; w.Code != 200 || took > 4+2 {
					t.Errorf("%d ticks; %d %s", took, w.Code, w.Body)
				}
				cancel()
				clients.Wait()
				if err := c.ctl.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Benchmarks and depth curves are within a key's limits.
func TestKeyLimitsOfMeasurements(t *testing.T) {
	s := &script{text: "ab", finish: loopctl.FinishLength}
	m := model("adder", &generator{submit: s.submit})
	m.Problems = func() ([]byte, error) { return []byte(`{"prompt":"1+1=","answer":"2"}`), nil }
	srv := server.New(server.Config{
		APIKeys: []string{"some", "none"}, KeyLimits: map[string]server.KeyLimits{"some": {LoopSteps: 1000, Sequences: 2}, "none": {LoopSteps: 10}},
	}, quiet(), nil)
	if err := srv.SetModels(m); err != nil {
		t.Fatal(err)
	}
	ts := newTestServer(t, srv)
	ask := func(key, method, path, body string) answer {
		return send(t, ts, method, path, body, "Authorization", "Bearer "+key)
	}
	checkError(t, ask("none", "GET", "/v1/depth/curve?loops=1", ""), 400, "request_too_large", "loops",
		"18 loop-steps at worst (prompt and max_tokens × loops × sequences): this API key has 10 in a minute: lower max_tokens, n or loops, or shorten the prompt")
	a := ask("some", "GET", "/v1/depth/curve?loops=1", "") // asked twice, once alone: 2 × (4 + 5) rows at one loop
	if h := a.header; a.status > 202 || h.Get("x-ratelimit-remaining-loop-steps") != "982" || h.Get("x-ratelimit-remaining-sequences") != "0" {
		t.Errorf("%d %v", a.status, h)
	}
	waitFor(t, 20*time.Second, "the curve", func() bool { return ask("some", "GET", "/v1/depth/curve?loops=1", "").status == 200 })
	const small = `{"loops":[1],"runs":1,"warmup":0,"max_tokens":2,"prompt_tokens":2,"concurrency":[%s]}`
	checkError(t, ask("some", "POST", "/v1/bench", strings.ReplaceAll(small, "%s", "3")), 400, "request_too_large", "concurrency",
		"3 sequences asked for (prompts × n, of a benchmark its concurrency): this API key may have 2 under way: send fewer prompts, or lower n or concurrency")
	before, _ := s.count()
	b := readBench(t, ask("some", "POST", "/v1/bench", strings.ReplaceAll(small, "%s", "2")), 202)
	waitFor(t, 20*time.Second, "the benchmark", func() bool {
		return strings.Contains(ask("some", "GET", "/v1/bench/"+b.ID, "").body, `"status":"done"`)
	})
	if after, _ := s.count(); after != before+2 {
		t.Errorf("%d requests were made, 2 are paid for", after-before)
	}
	if a := ask("some", "POST", "/v1/completions", `{"prompt":"ab","n":2}`); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestKeyLimits(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishLength, gate: make(chan struct{})}
	ts, srv := serve(t, s, server.Config{
		APIKeys:   []string{"steps", "few", "free", "boss"},
		KeyLimits: map[string]server.KeyLimits{"steps": {LoopSteps: 70}, "few": {Sequences: 2, Weight: 3}, "boss": {Operator: true}},
	})
	ask := func(key, body string) answer { return post(t, ts, body, "Authorization", "Bearer "+key) }
	speak := func(tokens int) {
		for range tokens {
			s.gate <- struct{}{}
		}
	}
	// (2 + 16 - 1) rows at 4 loops are 68 loop-steps; 2 rows of the prompt and 3 tokens are 20.
	go speak(3)
	a := ask("steps", `{"prompt":"ab"}`)
	if h := a.header; a.status != 200 || h.Get("x-ratelimit-limit-loop-steps") != "70" || h.Get("x-ratelimit-remaining-loop-steps") != "2" || !strings.HasPrefix(h.Get("x-ratelimit-reset-loop-steps"), "58.") {
		t.Errorf("%d %v", a.status, h)
	}
	a = ask("steps", `{"prompt":"ab"}`)
	var e wireError
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatal(err)
	}
	wait, _ := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != 429 || str(e.Error.Code) != "rate_limit_exceeded" || e.Error.Type != "rate_limit_error" || wait < 2 || wait > 16 || a.header.Get("x-ratelimit-remaining-loop-steps") == "" {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
	checkError(t, ask("steps", `{"prompt":"ab","max_tokens":40}`), 400, "request_too_large", "max_tokens",
		"164 loop-steps at worst (prompt and max_tokens × loops × sequences): this API key has 70 in a minute: lower max_tokens, n or loops, or shorten the prompt")
	if a := send(t, ts, "POST", "/v1/bench", `{"loops":[1],"runs":1,"max_tokens":2,"prompt_tokens":2,"concurrency":[64]}`, "Authorization", "Bearer steps"); a.status != 400 || !strings.Contains(a.body, "request_too_large") {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Two sequences at a time.
	open := make(chan answer)
	go func() { open <- ask("few", `{"prompt":"ab","n":2}`) }()
	waitFor(t, time.Minute, "a request", func() bool { n, _ := s.count(); return n == 3 })
	a = ask("few", `{"prompt":"ab"}`)
	if a.header.Get("Retry-After") != "1" || a.header.Get("x-ratelimit-remaining-sequences") != "0" {
		t.Errorf("%v", a.header)
	}
	checkError(t, a, 429, "too_many_sequences", "null",
		"2 sequences of this API key are under way and 1 more were asked for: it may have 2: wait until some have ended, or lower n")
	checkError(t, ask("few", `{"prompt":"ab","n":3}`), 400, "request_too_large", "n",
		"3 sequences asked for (prompts × n, of a benchmark its concurrency): this API key may have 2 under way: send fewer prompts, or lower n or concurrency")
	speak(6)
	<-open
	go speak(6)
	if a := ask("few", `{"prompt":"ab","n":2}`); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.mu.Lock()
	if r := s.requests; r[0].Client == r[1].Client || r[1].Client != r[3].Client || r[0].Weight != 0 || r[1].Weight != 3 {
		t.Errorf("clients %q %q %q, weights %v %v", r[0].Client, r[1].Client, r[3].Client, r[0].Weight, r[1].Weight)
	}
	s.mu.Unlock()

	// Benchmarks are a key's own, and force is an operator's.
	bench := func(key, method, path, body string) answer {
		return send(t, ts, method, "/v1/bench"+path, body, "Authorization", "Bearer "+key)
	}
	const small = `{"loops":[1],"max_tokens":2,"runs":1`
	checkError(t, bench("free", "POST", "", small+`,"force":true}`), 403, "operator_only", "force",
		"force is true: it slows down everybody's requests, and this API key is no operator's: leave force out, or ask the operator of this server")
	own := readBench(t, bench("free", "POST", "", small+`}`), 202).ID
	for key, sees := range map[string]bool{"few": false, "free": true, "boss": true} {
		list, one := bench(key, "GET", "", ""), bench(key, "GET", "/"+own, "")
		other := bench(key, "POST", "", small+`}`)
		if strings.Contains(list.body, own) != sees || one.status == 200 != sees || other.status != 409 || strings.Contains(other.body, own) != sees {
			t.Errorf("%s: %s; %d; %s", key, list.body, one.status, other.body)
		}
	}
	if a := bench("few", "DELETE", "/"+own, ""); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := bench("boss", "DELETE", "/"+own, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	for key, want := range map[string]int{"free": 403, "boss": 200} { // so is the admin listener, but for its health
		for path, want := range map[string]int{"/admin/models": want, "/debug/pprof/cmdline": want, "/metrics": 200} {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Authorization", "Bearer "+key)
			if srv.Admin(nothing{}).ServeHTTP(w, r); w.Code != want {
				t.Errorf("%s %s: %d %s", key, path, w.Code, w.Body)
			}
		}
	}
	own = readBench(t, bench("boss", "POST", "", small+`,"force":true}`), 202).ID
	if a := bench("boss", "DELETE", "/"+own, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
