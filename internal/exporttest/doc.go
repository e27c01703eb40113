// Package exporttest makes checkpoints in Hugging Face's layout with random weights, of any size: for tests, and for
// benchmarks of sizes whose trained weights nobody can commit. The same sizes and seed give the same bytes.
//
// Weights are normal with the variance that keeps activations near 1, and norm gains are random around 1: an exporter
// that drops a gain or swaps two matrices changes the outputs.
package exporttest
