//go:build cgo

package ort

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"
)

// Call is a prepared run of a session: tensors over the caller's buffers, which may change shape from run to run. In
// the steady state a Run allocates nothing in Go: shapes are written into C memory, and ONNX Runtime's values are made
// anew only where something changed. Outputs must be bound like inputs: the caller knows their shapes.
type Call struct {
	ptr     *C.ls_call
	session *Session
	slots   []C.ls_slot // C memory: inputs, then outputs
	buffers []*Buffer   // what each slot stands on: Run refuses one that was closed since
	wrong   []error     // what is wrong with each slot's binding; Run says it
}

// NewCall prepares a call.
func (s *Session) NewCall() (*Call, error) {
	if s.ptr == nil {
		return nil, fmt.Errorf("%s: the session is closed", s.path)
	}
	n := len(s.inputs) + len(s.outputs)
	ptr, err := newCall(s.ptr, len(s.inputs), slices.Concat(s.inputs, s.outputs))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	c := &Call{ptr: ptr, session: s, slots: unsafe.Slice(ptr.slots, n), buffers: make([]*Buffer, n), wrong: make([]error, n)}
	s.users.Add(1)
	trace.opened(c, "call of "+s.path)
	return c, nil
}

// newCall makes the C side of a call, whose slots are so many inputs, then outputs.
func newCall(session *C.OrtSession, inputs int, slots []TensorInfo) (*C.ls_call, error) {
	c := C.ls_call_new(session, C.size_t(inputs), C.size_t(len(slots)-inputs))
	ok := C.int(1)
	for i := 0; c != nil && i < len(slots) && ok != 0; i++ {
		name := C.CString(slots[i].Name)
		ok = C.ls_call_name(c, C.size_t(i), name, C.ls_type(slots[i].Type))
		C.free(unsafe.Pointer(name))
	}
	if c == nil || ok == 0 {
		C.ls_call_release(c)
		return nil, errors.New("out of memory for a call")
	}
	return c, nil
}

// In binds an input to the beginning of b, in this shape. What is wrong with that is said by Run.
func (c *Call) In(i int, b *Buffer, shape ...int64) {
	if i < 0 || i >= len(c.session.inputs) {
		c.misplaced("input", i, len(c.session.inputs))
		return
	}
	c.bind(i, b, shape)
}

// Out binds an output to the beginning of b, in this shape. An output that was never bound is not fetched.
func (c *Call) Out(i int, b *Buffer, shape ...int64) {
	if i < 0 || i >= len(c.session.outputs) {
		c.misplaced("output", i, len(c.session.outputs))
		return
	}
	c.bind(len(c.session.inputs)+i, b, shape)
}

// misplaced is for a place that the graph does not have, such as the −1 of Session.Input: no slot can hold that
// mistake, so it stays for the life of the call.
func (c *Call) misplaced(what string, i, n int) {
	c.wrong = append(c.wrong, fmt.Errorf("%s: the graph has no %s %d: it has %d", c.session.path, what, i, n))
}

func (c *Call) bind(i int, b *Buffer, shape []int64) {
	if c.ptr == nil {
		return // Run says that the call is closed
	}
	s := &c.slots[i]
	if c.buffers[i] == b && b != nil && s.data == b.ptr && c.wrong[i] == nil && int(s.rank) == len(shape) {
		same := true
		for d, n := range shape {
			same = same && int64(s.shape[d]) == n
		}
		if same {
			return
		}
	}
	c.buffers[i], s.bound, s.dirty = b, 1, 1
	bytes, err := fits(b, ElementType(s._type), shape)
	if err != nil {
		c.wrong[i] = fmt.Errorf("%s: %s: %w", c.session.path, C.GoString(s.name), err)
		return
	}
	c.wrong[i] = nil
	s.data, s.space, s.rank, s.bytes = b.ptr, b.info(), C.size_t(len(shape)), C.size_t(bytes)
	for d, n := range shape {
		s.shape[d] = C.int64_t(n)
	}
}

// fits returns the bytes of a tensor of that shape, which b must hold. ONNX Runtime is told the bytes of the shape, not
// those of the buffer, so this is the check that keeps it inside.
func fits(b *Buffer, t ElementType, shape []int64) (int, error) {
	// The clones keep shape from escaping: In and Out must not allocate.
	switch {
	case b == nil || b.ptr == nil:
		return 0, errors.New("the buffer is closed")
	case t.Size() == 0:
		return 0, fmt.Errorf("element type %d is not supported in a buffer", t)
	case len(shape) > C.LS_MAX_RANK:
		return 0, fmt.Errorf("shape %v has more than %d dimensions", slices.Clone(shape), int(C.LS_MAX_RANK))
	}
	room := int64(b.size / t.Size())
	elements := int64(1)
	for _, n := range shape {
		if n < 0 || (n > 0 && elements > room/n) {
			return 0, fmt.Errorf("shape %v of %d-byte elements does not fit into a buffer of %d bytes", slices.Clone(shape), t.Size(), b.size)
		}
		elements *= n
	}
	if elements > room {
		return 0, fmt.Errorf("one element of %d bytes does not fit into a buffer of %d bytes", t.Size(), b.size)
	}
	return int(elements) * t.Size(), nil
}

// Run runs the graph. The error is *Error, or says which binding is wrong. A call that failed may be run again.
func (c *Call) Run() error {
	if c.ptr == nil || c.session.ptr == nil {
		return fmt.Errorf("run %s: the call or its session is closed", c.session.path)
	}
	for _, err := range c.wrong {
		if err != nil {
			return err
		}
	}
	for i, b := range c.buffers {
		if b != nil && b.ptr == nil {
			return fmt.Errorf("%s: %s: the buffer is closed", c.session.path, C.GoString(c.slots[i].name))
		}
	}
	if s := C.ls_call_run(c.ptr); s != nil {
		return failed("run "+c.session.path, s)
	}
	return nil
}

// Interrupt has the Run under way, if there is one, fail before its next node. Any goroutine may call it until Close.
func (c *Call) Interrupt() { C.ls_call_interrupt(c.ptr) }

// Close frees the call. The buffers stay.
func (c *Call) Close() error {
	if c == nil || c.ptr == nil {
		return nil
	}
	C.ls_call_release(c.ptr)
	c.ptr, c.slots = nil, nil
	clear(c.buffers)
	c.session.users.Add(-1)
	trace.closed(c)
	return nil
}
