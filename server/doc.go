// Package server is HTTP in and server-sent events out: routes, middleware, statuses, health and the admin listener, over
// rooms that know no HTTP.
//
//	api/         request fields: what a body may say, and the errors about it
//	generate/    a request's plan, its sequences, their deltas, and what they add up to
//	chat/        messages to a prompt, and an answer's text to reasoning, calls and content
//	metrics/     Prometheus
//	playground/  the page at GET /
//
// A request's way: body.go (bounded, strict JSON) → completions.go or chat.go (which ask generate for a plan and start it) →
// one JSON answer, or sse.go (one event per token). errors.go is the one table from errors to statuses. Another route is
// another file that uses the same parts.
//
// The package knows gin, and no tensor and no graph. What it serves it takes through two interfaces, generate.Generator
// and tokenizer.Tokenizer.
//
// Goroutines: each request has its handler, which closes its sequences before it returns. A client that is gone or does not
// read for WriteTimeout cancels its sequences; nothing else waits for it.
package server
