// Package measure asks models and writes down what came: latency against loops (Sweep), clients of several depths beside
// each other (Mixed), accuracy at each depth and what drafts do (Score).
//
// It asks a Client, of which there are two: HTTP, for any server that speaks OpenAI's API, and Process, for a controller in
// this process, so that servers are compared by one tool. Commands that talk to a server do it by HTTP, too. The package never
// judges by anything but equality, the model's own probabilities and the clock, and it opens no model: who calls it does.
// Definitions are in docs/benchmarks.md.
//
// A sweep visits its points in turn, run after run, instead of one point to its end and then the next: a machine that becomes
// slower meanwhile shifts all points alike, and the line through them stays a line.
package measure
