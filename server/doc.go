// Package server is HTTP in and server-sent events out: OpenAI's wire format, with loops per request on top.
//
// A request's way: body.go (bounded, strict JSON) → params.go, depth*.go and loops.go (values, ranges, what contradicts
// what) → completions.go or chat.go (text or messages → ids, one loopctl.Request per choice) → work.go (Generator.Submit)
// → generate.go (events → text, stop strings) → completions.go or chat.go (one JSON answer) or sse.go (one event per
// token). errors.go is the one table from errors to statuses. Another route is another file that uses the same parts.
//
// The package knows gin; it knows no tensor, no graph and no scheduler. What it serves it takes through two interfaces,
// Generator and Tokenizer.
//
// Goroutines: each request has its handler and one goroutine per choice, which the handler cancels and joins before it
// returns. A client that is gone or does not read for WriteTimeout cancels its sequences; nothing else waits for it.
package server
