package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options say where traces go.
type Options struct {
	Endpoint string  // of an OTLP/HTTP collector: http://127.0.0.1:4318; a path of its own replaces /v1/traces
	Ratio    float64 // of the requests without a traceparent, 0 to 1
	Version  string
	Logger   *slog.Logger
}

// Tracer makes spans and sends them away.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	context  propagation.TextMapPropagator
}

// New prepares the exporter. It does not ask whether the collector is there: spans that cannot be sent are dropped.
func New(o Options) (*Tracer, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("trace_endpoint is %q: it must be a URL such as http://127.0.0.1:4318", o.Endpoint)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithTimeout(10*time.Second))
	if err != nil {
		return nil, fmt.Errorf("trace_endpoint %s: %w", o.Endpoint, err)
	}
	return newTracer(exporter, o), nil
}

func newTracer(exporter sdk.SpanExporter, o Options) *Tracer {
	r := resource.NewSchemaless(attribute.String("service.name", "loopserve"), attribute.String("service.version", o.Version))
	p := sdk.NewTracerProvider(
		sdk.WithBatcher(reporting{exporter, o.Logger}), sdk.WithResource(r),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(o.Ratio))),
	)
	return &Tracer{provider: p, tracer: p.Tracer("github.com/loopserve/loopserve"), context: propagation.TraceContext{}}
}

// reporting logs what could not be sent, where OpenTelemetry's own handler would write to standard error.
type reporting struct {
	sdk.SpanExporter
	log *slog.Logger
}

func (r reporting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if err := r.SpanExporter.ExportSpans(ctx, spans); err != nil && r.log != nil {
		r.log.Warn("traces could not be sent", "spans", len(spans), "error", err)
	}
	return nil
}

// Close sends what is left.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("traces: %w", err)
	}
	return nil // a collector that is gone must not make the server's end a failure
}

// Handler makes a span of each request, the child of the caller's traceparent where there is one.
func (t *Tracer) Handler(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path { // they come every few seconds and tell nothing
		case "/livez", "/readyz", "/ready", "/health", "/metrics":
			next.ServeHTTP(w, r)
			return
		}
		ctx := t.context.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", r.Method), attribute.String("url.path", r.URL.Path)))
		noted := &noted{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			if p := recover(); p != nil { // the server ends a connection this way
				span.SetStatus(codes.Error, "connection ended")
				span.End()
				panic(p)
			}
			span.SetAttributes(attribute.Int("http.response.status_code", noted.status))
			for key, header := range map[string]string{
				"loopserve.request_id": "X-Request-Id", "loopserve.model": "X-Model",
			} {
				if v := w.Header().Get(header); v != "" {
					span.SetAttributes(attribute.String(key, v))
				}
			}
			if n, err := strconv.Atoi(w.Header().Get("X-Loops-Applied")); err == nil {
				span.SetAttributes(attribute.Int("loopserve.loops", n))
			}
			if noted.status >= 500 {
				span.SetStatus(codes.Error, http.StatusText(noted.status))
			}
			span.End()
		}()
		next.ServeHTTP(noted, r.WithContext(ctx))
	})
}

// noted remembers the status. Unwrap lets deadlines and flushes through.
type noted struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (n *noted) WriteHeader(status int) {
	if !n.wrote && status >= 200 {
		n.status, n.wrote = status, true
	}
	n.ResponseWriter.WriteHeader(status)
}

func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// Flush is for writers that ask for http.Flusher without looking below.
func (n *noted) Flush() {
	_ = http.NewResponseController(n.ResponseWriter).Flush() // who wants to know uses Unwrap
}
