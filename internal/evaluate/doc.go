// Package evaluate asks a server the problems of a JSONL file at several loop counts and counts exact answers: accuracy
// and latency against loops. It speaks the OpenAI completions API over HTTP and nothing else, so that what it measures
// is what a client gets. It never scores by anything but equality.
package evaluate
