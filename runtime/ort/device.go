//go:build cgo

package ort

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	_ "embed"
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

	mu     sync.Mutex // copies of several buffers share the copier and the mover
	copier *C.OrtSession
	call   *C.ls_call
	mover  mover
}

// identity is y = Identity(x), uint8 [n]. Running it with x in one place and y in another is a copy by the provider itself.
// (The C API's CopyTensors knows only providers that were registered as plugins.)
//
//go:embed identity.onnx
var identity []byte

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
	if sp.copier, sp.call, err = sp.helper(identity, []helperSlot{{"x", Uint8}}, []helperSlot{{"y", Uint8}}); err != nil {
		return sp, err
	}
	return sp, sp.openMover()
}

type helperSlot struct {
	name string
	t    ElementType
}

// helper makes a session, and a call of it, of a small graph that copies memory. What was made before an error is
// returned with it, for close.
func (sp *space) helper(graph []byte, inputs, outputs []helperSlot) (session *C.OrtSession, call *C.ls_call, err error) {
	o, err := sp.session.env.options(SessionOptions{NoOptimize: true})
	if err != nil {
		return nil, nil, err
	}
	defer o.Destroy() //nolint:errcheck // fails only where the options were never made
	model := C.CBytes(graph)
	defer C.free(model)
	if err := failed("make a copier", C.ls_session_create_from(handle, model, C.size_t(len(graph)), optionsPointer(o), &session)); err != nil {
		return nil, nil, err
	}
	if call = C.ls_call_new(session, C.size_t(len(inputs)), C.size_t(len(outputs))); call == nil {
		return session, nil, errors.New("out of memory for the copier")
	}
	for i, slot := range append(inputs, outputs...) {
		name := C.CString(slot.name)
		ok := C.ls_call_name(call, C.size_t(i), name, C.ls_type(slot.t))
		C.free(unsafe.Pointer(name))
		if ok == 0 {
			return session, call, errors.New("out of memory for the copier")
		}
	}
	return session, call, nil
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
	slots := unsafe.Slice(sp.call.slots, 2)
	fillSlot(&slots[0], src, n, n, 0)
	fillSlot(&slots[1], b, n, n, 0)
	return failed("copy", C.ls_call_run(sp.call))
}

func (sp *space) close() {
	if sp == nil {
		return
	}
	sp.mover.close()
	C.ls_call_release(sp.call)
	if sp.copier != nil {
		C.ls_session_release(sp.copier)
	}
	C.ls_space_close(sp.info, sp.allocator)
}
