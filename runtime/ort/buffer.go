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
	"unsafe"

	"golang.org/x/sys/unix"
)

// Buffer is memory outside Go's heap: it never moves, and C may keep its address. Host memory is mapped, zeroed, and
// gets physical pages only as they are written. Device memory has no Bytes: it is filled and read by copies.
type Buffer struct {
	ptr    unsafe.Pointer
	size   int
	host   []byte // the mapping; nil for device memory
	device *space
}

// NewBuffer maps host memory. Zero bytes are taken for one, so that every buffer has an address.
func NewBuffer(bytes int) (*Buffer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("a buffer of %d bytes", bytes)
	}
	mem, err := unix.Mmap(-1, 0, max(bytes, 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("a buffer of %d bytes: %w", bytes, err)
	}
	b := &Buffer{ptr: unsafe.Pointer(unsafe.SliceData(mem)), size: bytes, host: mem}
	trace.opened(b, fmt.Sprintf("buffer of %d bytes", bytes))
	return b, nil
}

// NewDeviceBuffer takes memory where the session's provider computes: host memory on the CPU.
func (s *Session) NewDeviceBuffer(bytes int) (*Buffer, error) {
	if s.space == nil {
		return NewBuffer(bytes)
	}
	return s.space.alloc(bytes)
}

// Size is the bytes of the buffer.
func (b *Buffer) Size() int { return b.size }

// Bytes is the buffer's memory, good until Close; nil for device memory.
func (b *Buffer) Bytes() []byte {
	if b.host == nil {
		return nil
	}
	return b.host[:b.size:b.size]
}

// F32 is the memory as float32.
func (b *Buffer) F32() []float32 { return view[float32](b) }

// I32 is the memory as int32.
func (b *Buffer) I32() []int32 { return view[int32](b) }

// I64 is the memory as int64.
func (b *Buffer) I64() []int64 { return view[int64](b) }

func view[T any](b *Buffer) []T {
	if b.host == nil {
		return nil
	}
	var t T
	n := b.size / int(unsafe.Sizeof(t))
	return unsafe.Slice((*T)(b.ptr), n)[:n:n]
}

// CopyFrom copies the first n bytes of src, whichever of the two is on a device.
func (b *Buffer) CopyFrom(src *Buffer, n int) error {
	if n < 0 || n > b.size || n > src.size {
		return fmt.Errorf("copy of %d bytes from a buffer of %d to one of %d", n, src.size, b.size)
	}
	return failed("copy", C.ls_copy(handle, b.ptr, b.info(), src.ptr, src.info(), C.size_t(n)))
}

func (b *Buffer) info() *C.OrtMemoryInfo {
	if b.device == nil {
		return nil
	}
	return b.device.info
}

// Close gives the memory back.
func (b *Buffer) Close() error {
	if b == nil || b.ptr == nil {
		return nil
	}
	trace.closed(b)
	ptr := b.ptr
	b.ptr, b.size = nil, 0
	if b.device != nil {
		C.ls_space_free(b.device.allocator, ptr)
		return nil
	}
	mem := b.host
	b.host = nil
	return unix.Munmap(mem)
}

// space is memory that a session's provider allocates from.
type space struct {
	info      *C.OrtMemoryInfo
	allocator *C.OrtAllocator
}

func openSpace(s *Session, name string, device int) (*space, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	sp := &space{}
	if err := failed("allocator of "+name, C.ls_space_open(s.ptr, cname, C.int(device), &sp.info, &sp.allocator)); err != nil {
		return nil, err
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
		return nil, errors.New("the device has no memory left")
	}
	trace.opened(b, fmt.Sprintf("device buffer of %d bytes", bytes))
	return b, nil
}

func (sp *space) close() {
	if sp != nil {
		C.ls_space_close(sp.info, sp.allocator)
	}
}
