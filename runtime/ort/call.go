//go:build cgo

package ort

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Call is a prepared run of a session: tensors over the caller's buffers, which may change shape from run to run. In
// the steady state a Run allocates nothing in Go: shapes are written into C memory, and ONNX Runtime's values are made
// anew only where something changed. Outputs must be bound like inputs: the caller knows their shapes.
type Call struct {
	ptr     *C.ls_call
	session *Session
	slots   []C.ls_slot // C memory: inputs, then outputs
}

// NewCall prepares a call.
func (s *Session) NewCall() (*Call, error) {
	n := len(s.inputs) + len(s.outputs)
	ptr := C.ls_call_new(s.ptr, C.size_t(len(s.inputs)), C.size_t(len(s.outputs)))
	if ptr == nil {
		return nil, fmt.Errorf("%s: out of memory for a call", s.path)
	}
	c := &Call{ptr: ptr, session: s, slots: unsafe.Slice(ptr.slots, n)}
	for i, info := range append(append([]TensorInfo(nil), s.inputs...), s.outputs...) {
		name := C.CString(info.Name)
		ok := C.ls_call_name(ptr, C.size_t(i), name, C.ls_type(info.Type))
		C.free(unsafe.Pointer(name))
		if ok == 0 {
			C.ls_call_release(ptr)
			return nil, fmt.Errorf("%s: out of memory for a call", s.path)
		}
	}
	trace.opened(c, "call of "+s.path)
	return c, nil
}

// In binds an input to the beginning of b, in this shape.
func (c *Call) In(i int, b *Buffer, shape ...int64) { c.bind(i, b, shape) }

// Out binds an output to the beginning of b, in this shape.
func (c *Call) Out(i int, b *Buffer, shape ...int64) { c.bind(len(c.session.inputs)+i, b, shape) }

func (c *Call) bind(i int, b *Buffer, shape []int64) {
	s := &c.slots[i]
	if s.bound != 0 && s.data == b.ptr && int(s.rank) == len(shape) {
		same := true
		for d, n := range shape {
			same = same && int64(s.shape[d]) == n
		}
		if same {
			return
		}
	}
	s.data, s.rank, s.space, s.bound, s.dirty = b.ptr, C.size_t(min(len(shape), C.LS_MAX_RANK)), b.info(), 1, 1
	elements := 1
	for d, n := range shape {
		s.shape[d] = C.int64_t(n)
		elements *= int(n)
	}
	// ONNX Runtime is told the bytes of the shape; whether the buffer holds them is looked at here.
	s.bytes = C.size_t(elements * ElementType(s._type).Size())
	if int(s.bytes) > b.size {
		s.rank, s.bytes = 0, 0 // makes Run fail with the slot's name instead of writing past the end
		s.data = nil
	}
}

// Run runs the graph. The error is *Error, or says which buffer is too small.
func (c *Call) Run() error {
	for i := range c.slots {
		if c.slots[i].bound != 0 && c.slots[i].data == nil {
			return fmt.Errorf("%s: the buffer of %s is too small for its shape", c.session.path, C.GoString(c.slots[i].name))
		}
	}
	if s := C.ls_call_run(c.ptr); s != nil {
		return failed("run "+c.session.path, s)
	}
	return nil
}

// Close frees the call. The buffers stay.
func (c *Call) Close() error {
	if c == nil || c.ptr == nil {
		return nil
	}
	C.ls_call_release(c.ptr)
	c.ptr, c.slots = nil, nil
	trace.closed(c)
	return nil
}
