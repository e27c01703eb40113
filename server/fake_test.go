package server_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/generate"
	"github.com/loopserve/loopserve/tokenizer"
)

// generator is a generate.Generator of function fields.
type generator struct {
	submit   func(reqs ...*loopctl.Request) ([]*loopctl.Stream, error)
	snapshot func() loopctl.Snapshot
}

func (g *generator) Submit(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
	return g.submit(reqs...)
}

func (g *generator) Snapshot() loopctl.Snapshot {
	if g.snapshot == nil {
		return loopctl.Snapshot{}
	}
	return g.snapshot()
}

// script is a generator that says the letters of text, one token each, and then ends with finish. It stops early where
// the reader is gone, and waits for gate before each token where there is one.
type script struct {
	text   string
	finish loopctl.FinishReason
	err    error
	gate   chan struct{}
	loops  func(i int) int // of each token; nil: as asked for

	wg        sync.WaitGroup
	mu        sync.Mutex
	requests  []*loopctl.Request
	cancelled int
}

func (s *script) submit(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
	s.mu.Lock()
	s.requests = append(s.requests, reqs...)
	s.wg.Add(len(reqs)) // before anybody can see the requests and wait
	s.mu.Unlock()
	var out []*loopctl.Stream
	for _, r := range reqs {
		st := loopctl.NewStream(4)
		out = append(out, st)
		go func() {
			defer s.wg.Done()
			s.speak(r, st)
		}()
	}
	return out, nil
}

func (s *script) speak(r *loopctl.Request, st *loopctl.Stream) {
	now := time.Now()
	stats := &loopctl.Stats{
		Arrived: now, Scheduled: now.Add(2 * time.Millisecond), FirstToken: now.Add(5 * time.Millisecond),
		PromptTokens: len(r.Prompt), PromptRows: len(r.Prompt), PromptLoops: len(r.Prompt) * r.Loops,
	}
	cancel := func() {
		s.mu.Lock()
		s.cancelled++
		s.mu.Unlock()
		st.Push(loopctl.Event{Token: loopctl.Sampled{ID: -1}, Finish: loopctl.FinishCancelled, Stats: stats})
	}
	letters := []rune(s.text)
	for i, letter := range letters {
		if s.gate != nil {
			select {
			case <-s.gate:
			case <-st.Done():
				cancel()
				return
			case <-r.Context.Done():
				cancel()
				return
			}
		}
		stats.CompletionTokens++
		loops := r.Loops
		if s.loops != nil {
			loops = s.loops(i)
		}
		stats.LoopsTotal += loops
		stats.LoopsMax = max(stats.LoopsMax, loops)
		e := loopctl.Event{Token: loopctl.Sampled{ID: letter}, Loops: loops}
		switch {
		case i == len(letters)-1:
			e.Finish = s.finish
		case i == r.MaxTokens-1:
			e.Finish = loopctl.FinishLength
		}
		if r.Ends != nil && e.Finish != loopctl.FinishError {
			e.Finish = cmp.Or(r.Ends(letter, loops, e.Finish), e.Finish)
		}
		if e.Finish != loopctl.FinishNone {
			stats.Finished = now.Add(5*time.Millisecond + time.Duration(i)*time.Millisecond)
			e.Stats = stats
			if e.Finish == loopctl.FinishError {
				e.Token.ID, e.Err = -1, s.err
			}
			st.Push(e)
			return
		}
		for !st.Push(e) {
			select {
			case <-st.Done():
				cancel()
				return
			case <-r.Context.Done():
				cancel()
				return
			case <-time.After(time.Millisecond):
			}
		}
	}
}

func (s *script) count() (requests, cancelled int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests), s.cancelled
}

// letters is a tokenizer whose ids are the letters' code points, up to 255; 0 ends a sequence.
type letters struct{ tokenizer.Tokenizer }

func (letters) Encode(text string, addSpecial bool) ([]int32, error) {
	var out []int32
	if addSpecial && strings.HasPrefix(text, "<") {
		out = append(out, 1)
	}
	for _, r := range text {
		if r == '¿' { // read as unk, where a model has one
			r = '?'
		}
		if r > 255 {
			return nil, fmt.Errorf("letter %q is unknown", r)
		}
		out = append(out, r)
	}
	return out, nil
}

func (letters) Decode(ids []int32, skipSpecial bool) (string, error) {
	var out strings.Builder
	for _, id := range ids {
		if !skipSpecial || id > 1 {
			out.WriteRune(id)
		}
	}
	return out.String(), nil
}

func (letters) NewDecoder(skipSpecial bool) tokenizer.Decoder {
	return &letterDecoder{skip: skipSpecial}
}

func (letters) IDToToken(id int32) (string, bool) { return string(rune(id)), id >= 0 && id < 256 }

func (letters) TokenBytes(id int32) []byte { return []byte(string(rune(id))) }

func (letters) IsSpecial(id int32) bool { return id < 2 }

func (letters) Config() tokenizer.Config { return tokenizer.Config{BOS: "\x01", EOS: "\x00"} }

type letterDecoder struct{ skip bool }

func (*letterDecoder) Prime([]int32) {}

func (d *letterDecoder) Push(id int32) string {
	if d.skip && id < 2 {
		return ""
	}
	return string(rune(id))
}

func (*letterDecoder) Flush() string { return "" }

func model(name string, g generate.Generator) *generate.Model {
	bos := int32(1)
	return &generate.Model{
		Name: name, Created: 1700000000, Generator: g, Tokenizer: letters{},
		Loops:   loopctl.LoopRange{Min: 1, Default: 4, Trained: 8, Max: 12},
		Context: 64, Vocab: 256, StopIDs: []int32{0}, BOS: &bos, KVPolicies: []string{"depth"}, KVPolicy: "depth", Delta: true,
	}
}

// serverOf is a server of some models.
func serverOf(t testing.TB, models ...*generate.Model) *server.Server {
	t.Helper()
	srv := server.New(server.Config{}, quiet(), nil)
	if err := srv.SetModels(models...); err != nil {
		t.Fatal(err)
	}
	return srv
}

func newTestServer(t *testing.T, srv *server.Server) *httptest.Server {
	t.Helper()
	ts := httptest.NewServer(srv)
	t.Cleanup(ts.Close)
	return ts
}

// serve starts a server on one scripted model "adder" and, when the test ends, makes sure that nothing is left of it.
func serve(t *testing.T, s *script, cfg server.Config) (*httptest.Server, *server.Server) {
	t.Helper()
	before := runtime.NumGoroutine()
	srv := server.New(cfg, slog.New(slog.NewTextHandler(testWriter{t}, nil)), nil)
	if err := srv.SetModels(model("adder", &generator{submit: s.submit})); err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(srv)
	t.Cleanup(func() {
		ts.CloseClientConnections()
		ts.Close()
		ts.Client().CloseIdleConnections()
		s.wg.Wait()
		checkGoroutines(t, before)
	})
	return ts, srv
}

func checkGoroutines(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if runtime.NumGoroutine() <= before {
			return
		}
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
			return
		}
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Helper()
	w.t.Log(string(bytes.TrimRight(p, "\n")))
	return len(p), nil
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, ts *httptest.Server, method, path, body string, header ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, ts.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := ts.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(data)}
}

func post(t *testing.T, ts *httptest.Server, body string, header ...string) answer {
	t.Helper()
	return send(t, ts, http.MethodPost, "/v1/completions", body, header...)
}
