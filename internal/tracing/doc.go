// Package tracing tells an OpenTelemetry collector of requests: a span for the HTTP request and, below it, one for each
// sequence with its queue, prefill and decode, and the loops that they took. It is the only package that knows
// OpenTelemetry.
//
// A sequence's spans are made when it has ended, from the times that the controller noted anyway: while it runs, tracing
// costs nothing. A nil *Tracer does nothing at all, and its Request and Observer return what they are given.
//
// The exporter's goroutine is OpenTelemetry's batch processor, which Close ends and waits for.
package tracing
