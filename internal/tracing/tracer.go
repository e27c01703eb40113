package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
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

// Request begins a request's span, the child of the caller's traceparent where there is one. end is told the answer's status and
// header; 0 says that the connection was ended instead.
func (t *Tracer) Request(r *http.Request) (traced *http.Request, end func(status int, header http.Header)) {
	untold := []string{"/livez", "/readyz", "/ready", "/health", "/metrics"} // they come every few seconds and tell nothing
	if t == nil || slices.Contains(untold, r.URL.Path) {
		return r, func(int, http.Header) {}
	}
	ctx := t.context.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", r.Method), attribute.String("url.path", r.URL.Path)))
	return r.WithContext(ctx), func(status int, header http.Header) {
		defer span.End()
		if status == 0 {
			span.SetStatus(codes.Error, "connection ended")
			return
		}
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		for key, name := range map[string]string{"loopserve.request_id": "X-Request-Id", "loopserve.model": "X-Model"} {
			if v := header.Get(name); v != "" {
				span.SetAttributes(attribute.String(key, v))
			}
		}
		if n, err := strconv.Atoi(header.Get("X-Loops-Applied")); err == nil {
			span.SetAttributes(attribute.Int("loopserve.loops", n))
		}
		if status >= 500 {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
	}
}
