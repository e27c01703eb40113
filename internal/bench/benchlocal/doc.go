// Package benchlocal opens a bundle in this process for benchmarks: an engine, and a controller for each measurement,
// without HTTP and without a tokenizer.
package benchlocal
