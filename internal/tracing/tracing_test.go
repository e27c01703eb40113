package tracing

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/loopserve/loopserve/loopctl"
)

type counting struct{ ticks, ends int }

func (c *counting) Tick(*loopctl.TickStats)                  { c.ticks++ }
func (c *counting) Finished(*loopctl.Request, loopctl.Event) { c.ends++ }

// traced answers requests as the server does: the tracer is told how each ended.
func traced(t *Tracer, answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, end := t.Request(r)
		answer(w, r)
		end(w.(*httptest.ResponseRecorder).Code, w.Header())
	})
}

// A caller's trace goes on: request, below it the sequence, below that its queue, prefill and decode with their loops, and below decode each
// range of loops.
func TestSpans(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tracer := newTracer(kept{exporter}, Options{Ratio: 0}) // only callers decide
	inner := &counting{}
	o := tracer.Observer("adder", inner)
	start := time.Now()
	h := traced(tracer, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "req-1")
		w.Header().Set("X-Loops-Applied", "8")
		w.WriteHeader(http.StatusOK)
		o.Finished(&loopctl.Request{Context: r.Context(), ID: "req-1/0", Loops: 8}, loopctl.Event{Finish: loopctl.FinishStop, Stats: &loopctl.Stats{
			Arrived: start, Scheduled: start.Add(time.Millisecond), FirstToken: start.Add(3 * time.Millisecond), Finished: start.Add(9 * time.Millisecond),
			PromptTokens: 5, CompletionTokens: 4, LoopsTotal: 32, LoopsMax: 8, LoopsGranted: 8, PromptLoops: 40,
			Timeline: []loopctl.Stretch{{Start: start.Add(3 * time.Millisecond), End: start.Add(9 * time.Millisecond), Tokens: 3, Loops: 24, Least: 7, Most: 9}},
		}})
	})
	ask := func(path, traceparent string) {
		r := httptest.NewRequest("POST", path, nil)
		if traceparent != "" {
			r.Header.Set("Traceparent", traceparent)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	ask("/v1/completions", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ask("/v1/completions", "") // not sampled
	ask("/v1/completions", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	ask("/livez", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	spans := map[string]tracetest.SpanStub{}
	for _, s := range exporter.GetSpans() {
		spans[s.Name] = s
		if s.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is of trace %s", s.Name, s.SpanContext.TraceID())
		}
	}
	if len(exporter.GetSpans()) != 6 || inner.ends != 4 {
		t.Fatalf("%d spans, %d ends", len(exporter.GetSpans()), inner.ends)
	}
	for name, parent := range map[string]string{"sequence": "request", "queue": "sequence", "prefill": "sequence", "decode": "sequence", "loops": "decode"} {
		if spans[name].Parent.SpanID() != spans[parent].SpanContext.SpanID() {
			t.Errorf("%s is not below %s", name, parent)
		}
	}
	if got := spans["request"].Parent.SpanID().String(); got != "b7ad6b7169203331" {
		t.Errorf("the request is below %s", got)
	}
	for _, want := range []struct {
		span, key string
		value     int64
	}{
		{"request", "http.response.status_code", 200},
		{"request", "loopserve.loops", 8},
		{"sequence", "loopserve.loops_granted", 8},
		{"prefill", "loopserve.loops", 40},
		{"decode", "loopserve.loops", 32},
		{"decode", "loopserve.completion_tokens", 4},
		{"loops", "loopserve.completion_tokens", 3},
		{"loops", "loopserve.loops", 24},
		{"loops", "loopserve.loops_min", 7},
		{"loops", "loopserve.loops_max", 9},
	} {
		set := attribute.NewSet(spans[want.span].Attributes...)
		if v, ok := set.Value(attribute.Key(want.key)); !ok || v.AsInt64() != want.value {
			t.Errorf("%s %s is %v, want %d", want.span, want.key, v.AsInt64(), want.value)
		}
	}
	if took := spans["decode"].EndTime.Sub(spans["decode"].StartTime); took != 6*time.Millisecond {
		t.Errorf("decode took %v", took)
	}
}

// kept does not forget its spans when it is shut down.
type kept struct{ *tracetest.InMemoryExporter }

func (kept) Shutdown(context.Context) error { return nil }

// What goes over the wire to a collector, and a collector that is not there.
func TestExport(t *testing.T) {
	var mu sync.Mutex
	var got []string
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.URL.Path, r.Header.Get("Content-Type"), string(data))
	}))
	tracer, err := New(Options{Endpoint: collector.URL, Ratio: 1, Version: "v9"})
	if err != nil {
		t.Fatal(err)
	}
	fails := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	h := traced(tracer, fails)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/completions", nil))
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if len(got) != 3 || got[0] != "/v1/traces" || got[1] != "application/x-protobuf" || !strings.Contains(got[2], "/v1/completions") || !strings.Contains(got[2], "loopserve") {
		t.Errorf("%q", got)
	}
	mu.Unlock()
	collector.Close()

	var log bytes.Buffer
	tracer, err = New(Options{Endpoint: collector.URL, Ratio: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	traced(tracer, fails).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/models", nil))
	if err := tracer.Close(); err != nil {
		t.Errorf("a collector that is gone made the end a failure: %v", err)
	}
	if _, err := New(Options{Endpoint: "nonsense"}); err == nil {
		t.Error("an endpoint without a host was taken")
	}
}

// Without a tracer nothing is between.
func TestOff(t *testing.T) {
	var off *Tracer
	inner := &counting{}
	if off.Observer("adder", inner) != loopctl.Observer(inner) {
		t.Error("an observer was put between")
	}
	r := httptest.NewRequest("POST", "/v1/completions", nil)
	same, end := off.Request(r)
	end(http.StatusOK, nil)
	if same != r || off.Close() != nil || off.LogHandler(slog.DiscardHandler) != slog.DiscardHandler {
		t.Error("something was put between")
	}
}

func TestLogLinesHaveTheTrace(t *testing.T) {
	tracer := newTracer(tracetest.NewInMemoryExporter(), Options{Ratio: 1})
	t.Cleanup(func() {
		if err := tracer.Close(); err != nil {
			t.Error(err)
		}
	})
	var out bytes.Buffer
	log := slog.New(tracer.LogHandler(slog.NewTextHandler(&out, nil))).With("a", 1)
	ctx, span := tracer.tracer.Start(t.Context(), "x")
	log.InfoContext(ctx, "inside")
	span.End()
	log.Info("outside")
	lines := strings.Split(out.String(), "\n")
	if !strings.Contains(lines[0], "trace_id="+span.SpanContext().TraceID().String()) || strings.Contains(lines[1], "trace_id") {
		t.Errorf("%q", lines)
	}
}

var _ sdk.SpanExporter = kept{}
