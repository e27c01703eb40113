package tracing

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/loopserve/loopserve/loopctl"
)

// Observer makes spans of sequences that end, and passes everything on to next.
func (t *Tracer) Observer(model string, next loopctl.Observer) loopctl.Observer {
	if t == nil {
		return next
	}
	return &observer{Observer: next, tracer: t.tracer, model: model}
}

type observer struct {
	loopctl.Observer
	tracer trace.Tracer
	model  string
}

// Finished implements loopctl.Observer.
func (o *observer) Finished(r *loopctl.Request, last loopctl.Event) {
	o.Observer.Finished(r, last)
	if r.Context == nil || last.Stats == nil || !Sampled(r.Context) {
		return
	}
	s := last.Stats
	end := s.Finished
	if end.IsZero() {
		end = time.Now()
	}
	ctx, sequence := o.tracer.Start(context.WithoutCancel(r.Context), "sequence", trace.WithTimestamp(s.Arrived), trace.WithAttributes(
		attribute.String("loopserve.sequence_id", r.ID), attribute.String("loopserve.model", o.model),
		attribute.String("loopserve.exit_policy", r.Exit.Kind.String()),
		attribute.Int("loopserve.loops_asked", r.Loops), attribute.Int("loopserve.loops_granted", s.LoopsGranted),
		attribute.Int("loopserve.loops_saved", s.LoopsSaved), attribute.Int("loopserve.preemptions", s.Preemptions),
		attribute.String("loopserve.finish_reason", last.Finish.String()),
	))
	if last.Err != nil {
		sequence.RecordError(last.Err, trace.WithTimestamp(end))
		sequence.SetStatus(codes.Error, last.Finish.String())
	}
	child := func(name string, from, to time.Time, attrs ...attribute.KeyValue) context.Context {
		if from.IsZero() {
			return ctx
		}
		if to.IsZero() {
			to = end
		}
		below, span := o.tracer.Start(ctx, name, trace.WithTimestamp(from), trace.WithAttributes(attrs...))
		span.End(trace.WithTimestamp(to))
		return below
	}
	child("queue", s.Arrived, s.Scheduled)
	child("prefill", s.Scheduled, s.FirstToken, attribute.Int("loopserve.prompt_tokens", s.PromptTokens),
		attribute.Int("loopserve.cached_tokens", s.CachedTokens), attribute.Int("loopserve.loops", s.PromptLoops))
	ctx = child("decode", s.FirstToken, end, attribute.Int("loopserve.completion_tokens", s.CompletionTokens),
		attribute.Int("loopserve.loops", s.LoopsTotal), attribute.Int("loopserve.loops_max", s.LoopsMax),
		attribute.Int("loopserve.drafted", s.Drafted), attribute.Int("loopserve.accepted", s.Accepted))
	for _, run := range s.Timeline {
		child("loops", run.Start, run.End, attribute.Int("loopserve.completion_tokens", run.Tokens), attribute.Int("loopserve.loops", run.Loops),
			attribute.Int("loopserve.loops_min", run.Least), attribute.Int("loopserve.loops_max", run.Most))
	}
	sequence.End(trace.WithTimestamp(end))
}

// Sampled tells whether a request's spans will be made.
func Sampled(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsSampled() }

// LogHandler adds the trace's id to log lines that belong to one.
func (t *Tracer) LogHandler(next slog.Handler) slog.Handler {
	if t == nil {
		return next
	}
	return logHandler{next}
}

type logHandler struct{ slog.Handler }

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
