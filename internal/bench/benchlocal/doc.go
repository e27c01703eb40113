// Package benchlocal opens a bundle in this process for benchmarks: an engine, and a controller for each measurement,
// without HTTP and without a tokenizer. It also makes bundles of random weights, of any size: speed depends on sizes,
// not on what the weights say.
package benchlocal
