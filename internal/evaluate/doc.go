// Package evaluate asks a model the problems of a JSONL file at several depths and counts exact answers, or adds up the
// answers' log-likelihood: accuracy, loops and latency, for fixed loop counts and for exit policies. From these it
// recommends the least depth that loses no more than is allowed. It also proves that drafts change no answer.
//
// It asks an Asker: over HTTP, so that what it measures is what a client gets, or the server itself from within. It never
// scores by anything but equality and the model's own probabilities.
package evaluate
