// Package bench measures latency against loops: a sweep over loops × concurrency × prompt length × new tokens, and the
// straight line latency = a + b·loops through it; and mixed load, where clients of different depths share a server.
//
// It asks a Target, which is a controller in this process or any OpenAI-compatible URL, so that servers are compared by
// one client. It measures and writes down; it judges nothing, and it knows no model, no tokenizer and no HTTP route of
// ours but /v1/completions. Definitions are in docs/benchmarks.md.
//
// A sweep visits its points in turn, once per run, instead of one point run after run: a machine that becomes slower
// meanwhile shifts all points alike, and the line stays a line.
package bench
