//go:build !cgo

package ort

// Without cgo every constructor gives ErrNoCgo, and nothing else can be reached: the rest of the project compiles and
// is tested without a C compiler.

// Env is the environment.
type Env struct{}

// Session is a loaded graph.
type Session struct{}

// Call is a prepared run.
type Call struct{}

// Buffer is memory outside Go's heap.
type Buffer struct{}

// Open gives ErrNoCgo.
func Open(Options) (*Env, error) { return nil, ErrNoCgo }

// Load gives ErrNoCgo.
func (*Env) Load(string, SessionOptions) (*Session, error) { return nil, ErrNoCgo }

// LoadBytes gives ErrNoCgo.
func (*Env) LoadBytes(string, []byte, SessionOptions) (*Session, error) { return nil, ErrNoCgo }

// Version is empty.
func (*Env) Version() string { return "" }

// Provider is empty.
func (*Env) Provider() string { return "" }

// Threads is 0.
func (*Env) Threads() int { return 0 }

// Close does nothing.
func (*Env) Close() error { return nil }

// Inputs is empty.
func (*Session) Inputs() []TensorInfo { return nil }

// Outputs is empty.
func (*Session) Outputs() []TensorInfo { return nil }

// Input is −1.
func (*Session) Input(string) int { return -1 }

// Output is −1.
func (*Session) Output(string) int { return -1 }

// NewCall gives ErrNoCgo.
func (*Session) NewCall() (*Call, error) { return nil, ErrNoCgo }

// NewDeviceBuffer gives ErrNoCgo.
func (*Session) NewDeviceBuffer(int) (*Buffer, error) { return nil, ErrNoCgo }

// Close does nothing.
func (*Session) Close() error { return nil }

// In does nothing.
func (*Call) In(int, *Buffer, ...int64) {}

// Out does nothing.
func (*Call) Out(int, *Buffer, ...int64) {}

// Run gives ErrNoCgo.
func (*Call) Run() error { return ErrNoCgo }

// Close does nothing.
func (*Call) Close() error { return nil }

// NewBuffer gives ErrNoCgo.
func NewBuffer(int) (*Buffer, error) { return nil, ErrNoCgo }

// Size is 0.
func (*Buffer) Size() int { return 0 }

// Bytes is nil.
func (*Buffer) Bytes() []byte { return nil }

// F32 is nil.
func (*Buffer) F32() []float32 { return nil }

// I32 is nil.
func (*Buffer) I32() []int32 { return nil }

// I64 is nil.
func (*Buffer) I64() []int64 { return nil }

// CopyFrom gives ErrNoCgo.
func (*Buffer) CopyFrom(*Buffer, int) error { return ErrNoCgo }

// CopyRows gives ErrNoCgo.
func (*Buffer) CopyRows(int, []int64, []int64) error { return ErrNoCgo }

// Close does nothing.
func (*Buffer) Close() error { return nil }

func liveValues() int64 { return 0 }
