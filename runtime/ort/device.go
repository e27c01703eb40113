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
	"sync"
	"unsafe"
)

// space is memory that a session's provider allocates from, and the way into it and out of it.
type space struct {
	session   *Session
	info      *C.OrtMemoryInfo
	allocator *C.OrtAllocator

	mu     sync.Mutex // copies of several buffers share the copier
	copier *C.OrtSession
	call   *C.ls_call
}

// identity is an ONNX graph of one node: y = Identity(x), uint8 [n]. Running it with x in one place and y in another is
// a copy by the provider itself. (The C API's CopyTensors knows only providers that were registered as plugins.)
const identity = "\x08\x08" + // ir_version 8
	"\x3a\x39" + // graph
	"\x0a\x10" + "\x0a\x01x" + "\x12\x01y" + "\x22\x08Identity" + // node
	"\x12\x01c" + // name
	"\x5a\x10" + "\x0a\x01x" + uint8Vector + // input
	"\x62\x10" + "\x0a\x01y" + uint8Vector + // output
	"\x42\x04\x0a\x00\x10\x0d" // opset 13

const uint8Vector = "\x12\x0b" + "\x0a\x09" + "\x08\x02" + "\x12\x05" + "\x0a\x03" + "\x12\x01n"

func openSpace(s *Session, name string, device int) (sp *space, err error) {
	sp = &space{session: s}
	defer func() {
		if err != nil {
			sp.close()
			sp = nil
		}
	}()
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	if err := failed("allocator of "+name, C.ls_space_open(s.ptr, cname, C.int(device), &sp.info, &sp.allocator)); err != nil {
		return sp, err
	}
	o, err := s.env.options(SessionOptions{NoOptimize: true})
	if err != nil {
		return sp, err
	}
	defer o.Destroy() //nolint:errcheck // fails only where the options were never made
	model := C.CBytes([]byte(identity))
	defer C.free(model)
	if err := failed("make the copier of "+name, C.ls_session_create_from(handle, model, C.size_t(len(identity)), optionsPointer(o), &sp.copier)); err != nil {
		return sp, err
	}
	if sp.call = C.ls_call_new(sp.copier, 1, 1); sp.call == nil {
		return sp, errors.New("out of memory for the copier")
	}
	for i, n := range []string{"x", "y"} {
		cn := C.CString(n)
		ok := C.ls_call_name(sp.call, C.size_t(i), cn, C.ls_type(Uint8))
		C.free(unsafe.Pointer(cn))
		if ok == 0 {
			return sp, errors.New("out of memory for the copier")
		}
	}
	return sp, nil
}

func (sp *space) alloc(bytes int) (*Buffer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("a buffer of %d bytes", bytes)
	}
	b := &Buffer{size: bytes, device: sp}
	if err := failed("allocate", C.ls_space_alloc(sp.allocator, C.size_t(max(bytes, 1)), &b.ptr)); err != nil {
		return nil, err
	}
	if b.ptr == nil {
		return nil, fmt.Errorf("the device has no memory left for a buffer of %d bytes", bytes)
	}
	sp.session.users.Add(1)
	trace.opened(b, fmt.Sprintf("device buffer of %d bytes", bytes))
	return b, nil
}

// CopyFrom copies the first n bytes of src, whichever of the two is on a device.
func (b *Buffer) CopyFrom(src *Buffer, n int) error {
	if b.ptr == nil || src.ptr == nil {
		return errors.New("copy: the buffer is closed")
	}
	if n < 0 || n > b.size || n > src.size {
		return fmt.Errorf("copy of %d bytes from a buffer of %d to one of %d", n, src.size, b.size)
	}
	sp := b.device
	if sp == nil {
		sp = src.device
	}
	switch {
	case n == 0:
		return nil
	case sp == nil:
		copy(b.host[:n], src.host[:n])
		return nil
	}
	sp.mu.Lock()
	defer sp.mu.Unlock()
	for i, end := range []*Buffer{src, b} {
		slot := &unsafe.Slice(sp.call.slots, 2)[i]
		slot.data, slot.space, slot.bytes, slot.rank, slot.shape[0] = end.ptr, end.info(), C.size_t(n), 1, C.int64_t(n)
		slot.bound, slot.dirty = 1, 1
	}
	return failed("copy", C.ls_call_run(sp.call))
}

func (sp *space) close() {
	if sp == nil {
		return
	}
	C.ls_call_release(sp.call)
	if sp.copier != nil {
		C.ls_session_release(sp.copier)
	}
	C.ls_space_close(sp.info, sp.allocator)
}
