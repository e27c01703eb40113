//go:build !cgo

package ort

import (
	"context"
	"os"
)

// Without cgo the constructors give ErrNoCgo, so nobody ever holds a value of these types. Their methods are those of the
// cgo build, promoted from interfaces that stay empty: so the rest of the project compiles and is tested without a C
// compiler.

// Env is the environment.
type Env struct{ env }

type env interface {
	LoadBytes(name string, model []byte, opt SessionOptions) (*Session, error)
	Version() string
	Provider() string
	Threads() int
}

// Session is a loaded graph.
type Session struct{ session }

type session interface {
	Inputs() []TensorInfo
	Input(name string) int
	Output(name string) int
	NewCall() (*Call, error)
	NewDeviceBuffer(bytes int) (*Buffer, error)
	Close() error
}

// Call is a prepared run.
type Call struct{ call }

type call interface {
	In(i int, b *Buffer, shape ...int64)
	Out(i int, b *Buffer, shape ...int64)
	Run() error
	Interrupt()
	Close() error
}

// Buffer is memory outside Go's heap.
type Buffer struct{ buffer }

type buffer interface {
	Bytes() []byte
	F32() []float32
	I32() []int32
	I64() []int64
	CopyRows(width int, from, to []int64) error
	Settle(ctx context.Context) (moved int, err error)
	Close() error
}

// Open gives ErrNoCgo.
func Open(Options) (*Env, error) { return nil, ErrNoCgo }

// NewBuffer gives ErrNoCgo.
func NewBuffer(int) (*Buffer, error) { return nil, ErrNoCgo }

// MapFile gives ErrNoCgo.
func MapFile(*os.File, int) (*Buffer, error) { return nil, ErrNoCgo }

// Close does nothing: it is called on nil, too.
func (*Env) Close() error { return nil }

func liveValues() int64 { return 0 }
