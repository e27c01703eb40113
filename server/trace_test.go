package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

// The spans of a loop range need a timeline: it is kept for requests that are sampled, and for no others.
func TestTimelineOfSampledRequests(t *testing.T) {
	for _, sampled := range []bool{true, false} {
		s := &script{text: "ab", finish: loopctl.FinishLength}
		srv := serverOf(t, model("adder", &generator{submit: s.submit}))
		span := trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}
		if sampled {
			span.TraceFlags = trace.FlagsSampled
		}
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			srv.ServeHTTP(w, r.WithContext(trace.ContextWithSpanContext(r.Context(), trace.NewSpanContext(span))))
		}))
		a := send(t, ts, http.MethodPost, "/v1/completions", `{"model":"adder","prompt":"1"}`)
		ts.Close()
		s.wg.Wait()
		if a.status != http.StatusOK || s.requests[0].Timeline != sampled {
			t.Errorf("sampled %v: status %d, timeline %v", sampled, a.status, s.requests[0].Timeline)
		}
	}
}

// A tracer is told the status and the header of each answer.
func TestTraceIsToldOfTheEnd(t *testing.T) {
	var status int
	var id string
	srv := server.New(server.Config{Trace: func(r *http.Request) (*http.Request, func(int, http.Header)) {
		return r, func(code int, header http.Header) { status, id = code, header.Get("X-Request-Id") }
	}}, nil, nil)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/v1/models", nil)
	r.Header.Set("X-Request-Id", "mine")
	if srv.ServeHTTP(w, r); status != http.StatusServiceUnavailable || id != "mine" {
		t.Errorf("told of status %d of request %q", status, id)
	}
}
