//go:build cgo

package ort

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Buffer is memory outside Go's heap: it never moves, and C may keep its address. Host memory is mapped, zeroed, and
// gets physical pages only as they are written. Device memory has no Bytes: native calls alone read and write it.
type Buffer struct {
	ptr    unsafe.Pointer
	size   int
	host   []byte // the mapping; nil for device memory
	device *space
}

// hugePages is from how many bytes on memory is asked for in pages of 2 MiB: half of the time to read keys and values
// that lie in pages of 4 KiB, one a token, goes into looking up their addresses.
const hugePages = 8 << 20

// NewBuffer maps host memory. Zero bytes are taken for one, so that every buffer has an address.
func NewBuffer(bytes int) (*Buffer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("a buffer of %d bytes", bytes)
	}
	mem, err := unix.Mmap(-1, 0, max(bytes, 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("a buffer of %d bytes: %w", bytes, err)
	}
	if bytes >= hugePages {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // a system without them serves as well
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
		b.device.session.users.Add(-1)
		return nil
	}
	mem := b.host
	b.host = nil
	return unix.Munmap(mem)
}
