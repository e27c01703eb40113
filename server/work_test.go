package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/tokenizer"
)

// peak runs f and returns the most bytes that were on Go's heap meanwhile, garbage included.
func peak(f func()) (most uint64) {
	debug.FreeOSMemory()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	done, sampled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sampled)
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	f()
	close(done)
	<-sampled
	return most
}

// Many bodies at one time that cost much before the engine knows them: each gets an answer or a refusal, small requests are answered
// meanwhile, and the memory is bounded. The bound is far under what one such flood took before: 24 bodies of 350,000 fields did not
// fit into 4 GiB.
func TestFloods(t *testing.T) {
	tok, err := tokenizer.OpenDir(filepath.Join(goldentest.Dir(t, "golden"), "ouro/tiny-mha"), "")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{text: "ab", finish: loopctl.FinishLength}
	m := model("adder", &generator{submit: s.submit})
	m.Tokenizer, m.Vocab = tok, tok.VocabSize()
	srv := serverOf(t, m)
	ts := newTestServer(t, srv)
	text := func(v string) string {
		data, _ := json.Marshal(v)
		return string(data)
	}
	long := strings.Repeat("a1 ", 4<<20/3-100)
	for name, tt := range map[string]struct {
		n          int
		path, body string
		want       string // status and code, beside 503
		all        bool   // none may be refused with 503
	}{
		"fields of a message": {24, "/v1/chat/completions", `{"messages":[{"role":"user","content":"x",` + manyFields(350_000)[1:] + `]}`, "400 too_many_fields", false},
		"entries of a list":   {24, "/v1/chat/completions", `{"messages":[` + strings.Repeat("0,", 2_000_000) + `0]}`, "400 request_too_large", false},
		"a deep schema":       {24, "/v1/completions", `{"prompt":"x","guided_json":` + text(strings.Repeat(`{"items":`, 2600)+"{}"+strings.Repeat("}", 2600)) + `}`, "400 invalid_value", true},
		"a wide schema":       {24, "/v1/completions", `{"prompt":"x","guided_json":{"properties":` + manyFields(8000) + `}}`, "400 invalid_value", true},
		"tokens":              {48, "/tokenize", `{"prompt":"` + long + `"}`, "200 ", false},
		"tokens and strings":  {24, "/tokenize", `{"return_token_strs":true,"prompt":"` + long + `"}`, "200 ", false},
		"ids":                 {24, "/detokenize", `{"tokens":[` + strings.Repeat("5,", 1<<17-1) + `5]}`, "200 ", false},
		"too many ids":        {24, "/detokenize", `{"tokens":[` + strings.Repeat("5,", 1<<20) + `5]}`, "400 request_too_large", false},
		"a prompt":            {48, "/v1/completions", `{"prompt":"` + long + `"}`, "400 context_length_exceeded", false},
		"a chat":              {48, "/v1/chat/completions", `{"messages":[{"role":"user","content":"` + long + `"}]}`, "400 context_length_exceeded", false},
	} {
		t.Run(name, func(t *testing.T) {
			var served, refused atomic.Int32
			most := peak(func() {
				var wg sync.WaitGroup
				n := tt.n
				if testing.Short() { // the race detector makes each body take ten times as long
					n /= 6
				}
				for range n {
					wg.Go(func() {
						switch got, retry := tell(t, ts.URL+tt.path, tt.body); {
						case got == tt.want:
							served.Add(1)
						case got == "503 too_many_bytes" && retry != "", got == hungUp && !tt.all:
							refused.Add(1)
						default:
							t.Errorf("%s", got)
						}
					})
				}
				for range 8 {
					if got, _ := tell(t, ts.URL+"/tokenize", `{"prompt":"a small one"}`); got != "200 " {
						t.Errorf("a small request beside it: %s", got)
					}
				}
				wg.Wait()
			})
			t.Logf("%d served, %d refused, at most %d MiB", served.Load(), refused.Load(), most>>20)
			if served.Load() == 0 || tt.all && refused.Load() > 0 {
				t.Errorf("%d served, %d refused", served.Load(), refused.Load())
			}
			if most > 1<<30 {
				t.Errorf("%d MiB", most>>20)
			}
		})
	}
}

// hungUp is a refusal whose connection was closed before the client, still sending on a busy machine, had read it.
const hungUp = "hung up"

// tell posts a body and returns the answer's status and code, and its Retry-After. The answer is not kept.
func tell(t *testing.T, url, body string) (got, retry string) {
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return hungUp, ""
	}
	if err != nil {
		return err.Error(), ""
	}
	defer res.Body.Close()
	var e wireError
	if res.StatusCode != http.StatusOK {
		if err := json.NewDecoder(res.Body).Decode(&e); err != nil {
			return err.Error(), ""
		}
		return fmt.Sprintf("%d %s", res.StatusCode, str(e.Error.Code)), res.Header.Get("Retry-After")
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Error(err)
	}
	return "200 ", ""
}

// counting is a tokenizer that counts the bytes that it is given.
type counting struct {
	letters

	n *int
}

func (c counting) Encode(text string, addSpecial bool) ([]int32, error) {
	*c.n += len(text)
	return c.letters.Encode(text, addSpecial)
}

// A prompt far over the context costs what the context could take, and not what was sent.
func TestFarOverTheContext(t *testing.T) {
	n := 0
	m := model("adder", &generator{})
	m.Tokenizer = counting{n: &n}
	ts := newTestServer(t, serverOf(t, m))
	long := strings.Repeat("a", 3<<20)
	for path, body := range map[string]string{
		"/v1/completions":      `{"prompt":["b","` + long + `"]}`,
		"/v1/chat/completions": `{"messages":[{"role":"user","content":"` + long + `"}]}`,
		"/v1/messages":         `{"max_tokens":1,"messages":[{"role":"user","content":"` + long + `"}]}`,
		"/v1/responses":        `{"input":"` + long + `"}`,
	} {
		n = 0
		a := send(t, ts, "POST", path, body)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, "has more than 128 tokens") || n > 8192 {
			t.Errorf("%s: %d %s after %d bytes", path, a.status, a.body, n)
		}
	}
}

// A handler that waits for its slot goes when its client goes, and gives back what it held.
func TestBudgetIsGivenBack(t *testing.T) {
	srv := server.New(server.Config{BodyBudget: 1 << 20}, quiet(), nil)
	s := &script{text: "ab", finish: loopctl.FinishLength}
	if err := srv.SetModels(model("adder", &generator{submit: s.submit})); err != nil {
		t.Fatal(err)
	}
	ts := newTestServer(t, srv)
	for range 20 { // each is more than half of the budget
		if got, _ := tell(t, ts.URL+"/tokenize", `{"prompt":"`+strings.Repeat("a", 700<<10)+`"}`); got != "200 " {
			t.Fatal(got)
		}
		if got, _ := tell(t, ts.URL+"/v1/completions", `{"prompt":"a","user":"`+strings.Repeat("a", 700<<10)+`"}`); got != "200 " {
			t.Fatal(got)
		}
	}
}

// A stream that is open holds nothing of the budget for bodies: a slow reader's would keep everybody else's out.
func TestOpenStreamsHoldNoBytes(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishLength, gate: make(chan struct{})}
	ts, _ := serve(t, s, server.Config{BodyBudget: 300 << 10})
	body := fmt.Sprintf(`{"prompt":"x","stream":true,"user":%q}`, strings.Repeat("u", 200<<10))
	streams, stop := context.WithCancel(t.Context())
	var open sync.WaitGroup
	defer open.Wait()
	defer stop()
	for n := range 3 {
		open.Go(func() {
			req, _ := http.NewRequestWithContext(streams, http.MethodPost, ts.URL+"/v1/completions", strings.NewReader(body))
			if res, err := ts.Client().Do(req); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
		waitFor(t, 20*time.Second, "the stream", func() bool { started, _ := s.count(); return started == n+1 })
	}
}
