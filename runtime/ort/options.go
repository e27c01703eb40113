package ort

import (
	"log/slog"
	"time"
)

// Providers that Options takes.
const (
	ProviderCPU  = "cpu"
	ProviderCUDA = "cuda"
	ProviderAuto = "auto" // CUDA where it can be had, else CPU, with the reason in the log
)

// Options of the environment.
type Options struct {
	Library  string // the shared library; empty: LOOPSERVE_ORT_LIB, then where `make ort` puts it, then the user's cache
	Threads  int    // of the one pool; 0: one for each core
	Spin     bool   // idle pool threads spin for a while: faster next calls, a busy core
	Provider string // cpu (default), cuda or auto
	DeviceID int    // of the CUDA device
	Logger   *slog.Logger

	// LoadTimeout is how long a graph may take to load, 0 for an hour: beyond it loading fails with ModelLoadCanceled.
	LoadTimeout time.Duration
}

// SessionOptions of one graph.
type SessionOptions struct {
	// Files are the graph's external data by their names: memory that must stay until the session is closed.
	Files map[string]*Buffer

	// NoOptimize keeps the graph as it is written: for tests that look at single nodes.
	NoOptimize bool

	// OnCrew runs our operators on threads of our own, and the other nodes on the caller's: for graphs whose heavy nodes are
	// ours. docs/adr/0001 says why.
	OnCrew bool

	ownPool bool // the session keeps its own threads: for the benchmark behind docs/adr/0001
}

// TensorInfo describes an input or output.
type TensorInfo struct {
	Name string
	Type ElementType
	Dims []int64 // −1 where dynamic
}

// ElementType is ONNXTensorElementDataType.
type ElementType uint32

// The types in use.
const (
	Float32  ElementType = 1
	Uint8    ElementType = 2
	Int32    ElementType = 6
	Int64    ElementType = 7
	Float16  ElementType = 10
	BFloat16 ElementType = 16
)

// Size is the bytes of an element, 0 for a type that is not used here.
func (t ElementType) Size() int {
	switch t {
	case Uint8:
		return 1
	case Float16, BFloat16:
		return 2
	case Float32, Int32:
		return 4
	case Int64:
		return 8
	}
	return 0
}
