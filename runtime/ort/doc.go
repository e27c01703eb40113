// Package ort is the native boundary: ONNX Runtime, memory outside Go's heap, and the paged-attention kernel. No other
// package imports "C", unsafe or onnxruntime_go.
//
// There is one environment in a process, with one thread pool for all sessions (docs/adr/0001). The binding,
// onnxruntime_go, makes session options and providers; what it lacks (global pool, custom operators, calls without Go
// allocations) is shim.c, over the few entries of ONNX Runtime's C ABI that abi.h names.
//
// A Session may be shared; a Call and its Buffers belong to one goroutine at a time. Every object is closed by who made
// it; Close is safe on nil and more than once. Without cgo the package compiles to functions that return ErrNoCgo.
package ort
