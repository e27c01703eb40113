package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func waitFor(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// SIGTERM with a stream open: the stream goes on to its end while new requests are refused.
func TestDrain(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishLength, gate: make(chan struct{})}
	ts, srv := serve(t, s, server.Config{})
	res := open(t, ts, s)
	defer res.Body.Close()
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(t.Context()) }()
	waitFor(t, 5*time.Second, "not ready", func() bool { return send(t, ts, "GET", "/readyz", "").status == 503 })
	if a := send(t, ts, "GET", "/livez", ""); a.status != 200 {
		t.Errorf("livez %d", a.status)
	}
	a := post(t, ts, `{"prompt":"x"}`)
	checkError(t, a, 503, "draining", "null", "the server is shutting down and accepts no new requests: try another instance, or retry when it is back")
	select {
	case err := <-done:
		t.Fatalf("shutdown returned %v with a stream open", err)
	default:
	}
	for range 2 {
		s.gate <- struct{}{}
	}
	data, err := io.ReadAll(res.Body)
	if got := events(t, string(data)); err != nil || len(got) != 3 {
		t.Errorf("%v %q", err, got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// When the time to drain is over, the client is told and the sequence ends.
func TestDrainRunsOutOfTime(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishLength, gate: make(chan struct{})}
	ts, srv := serve(t, s, server.Config{})
	res := open(t, ts, s)
	defer res.Body.Close()
	hears, hear := context.WithCancel(t.Context()) // one that reads nothing keeps nobody waiting
	defer hear()
	r := httptest.NewRequest(http.MethodPost, "/v1/completions", strings.NewReader(`{"prompt":"x","stream":true}`))
	go srv.ServeHTTP(&deaf{hears, http.Header{}}, r)
	waitFor(t, time.Minute, "the second stream", func() bool { n, _ := s.count(); return n == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := srv.Shutdown(ctx); err == nil {
		t.Error("no error although a stream was cut short")
	}
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	data, _ := io.ReadAll(res.Body)
	got := events(t, string(data))
	if last := got[len(got)-1]; !strings.Contains(last, `"code":"draining"`) {
		t.Errorf("last event %s", last)
	}
	s.wg.Wait()
	if _, cancelled := s.count(); cancelled != 2 {
		t.Error("the sequences were not cancelled")
	}
}

func TestLoading(t *testing.T) {
	srv := server.New(server.Config{}, quiet(), nil)
	ts := httptest.NewServer(srv)
	defer ts.Close()
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/health": 503, "/v1/models": 503, "/version": 200, "/metrics": 200} {
		if a := send(t, ts, http.MethodGet, path, ""); a.status != want {
			t.Errorf("%s: %d, want %d", path, a.status, want)
		}
	}
	a := post(t, ts, `{"prompt":"x"}`)
	checkError(t, a, 503, "loading", "null", "models are still loading: try again when GET /readyz returns 200")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	if err := srv.SetModels(); err == nil {
		t.Error("no models were taken")
	}
	bad := model("a@b", &generator{})
	if err := srv.SetModels(bad); err == nil {
		t.Error("a name with @ was taken")
	}
	if err := srv.SetModels(model("adder", &generator{})); err != nil {
		t.Error(err)
	}
	if a := send(t, ts, http.MethodGet, "/readyz/", ""); a.status != 200 || a.body != `{"status":"ready"}` {
		t.Errorf("%d %s", a.status, a.body)
	}
}
