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

// space is memory that a session's provider allocates from.
type space struct {
	session   *Session
	info      *C.OrtMemoryInfo
	allocator *C.OrtAllocator
	mover     mover
}

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
	return sp, sp.mover.open(s.env)
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

func (sp *space) close() {
	if sp == nil {
		return
	}
	sp.mover.close()
	C.ls_space_close(sp.info, sp.allocator)
}
