//go:build cgo

package ort

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Buffer is memory outside Go's heap: it never moves, and C may keep its address. Host memory is mapped, zeroed, and
// gets physical pages only as they are written. Device memory has no Bytes: native calls alone read and write it.
type Buffer struct {
	ptr    unsafe.Pointer
	size   int
	device *space // nil for host memory

	settling sync.Mutex
	file     *os.File // that host memory still is; nil for memory of our own
}

// hugePage is the size of large pages. Memory of at least four is asked for in them: half of the time to read keys and
// values that lie in pages of 4 KiB, one a token, goes into looking up their addresses.
const hugePage = 2 << 20

// NewBuffer maps host memory. Zero bytes are taken for one, so that every buffer has an address.
func NewBuffer(bytes int) (*Buffer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("a buffer of %d bytes", bytes)
	}
	mem, err := anonymous(bytes)
	if err != nil {
		return nil, fmt.Errorf("a buffer of %d bytes: %w", bytes, err)
	}
	return newBuffer(mem, bytes), nil
}

func newBuffer(mem unsafe.Pointer, bytes int) *Buffer {
	b := &Buffer{ptr: mem, size: bytes}
	trace.opened(b, fmt.Sprintf("buffer of %d bytes", bytes))
	return b
}

// anonymous maps memory of nobody else's, at an address where large pages fit if it is large.
func anonymous(bytes int) (unsafe.Pointer, error) {
	slack := uintptr(0)
	if bytes >= 4*hugePage {
		slack = hugePage
	}
	whole := extent(bytes)
	mem, err := unix.MmapPtr(-1, 0, nil, whole+slack, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil || slack == 0 {
		return mem, err
	}
	before := -uintptr(mem) % hugePage
	at := unsafe.Add(mem, before)
	if before > 0 {
		err = unix.MunmapPtr(mem, before)
	}
	if after := slack - before; err == nil && after > 0 {
		err = unix.MunmapPtr(unsafe.Add(at, whole), after)
	}
	_ = unix.Madvise(unsafe.Slice((*byte)(at), bytes), unix.MADV_HUGEPAGE) // a system without them serves as well
	return at, err
}

// extent is what so many bytes take in whole pages.
func extent(bytes int) uintptr {
	page := unix.Getpagesize()
	return uintptr((max(bytes, 1) + page - 1) / page * page)
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
	return view[byte](b)
}

// F32 is the memory as float32.
func (b *Buffer) F32() []float32 { return view[float32](b) }

// I32 is the memory as int32.
func (b *Buffer) I32() []int32 { return view[int32](b) }

// I64 is the memory as int64.
func (b *Buffer) I64() []int64 { return view[int64](b) }

func view[T any](b *Buffer) []T {
	if b.ptr == nil || b.device != nil {
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
	b.settling.Lock()
	defer b.settling.Unlock()
	trace.closed(b)
	ptr, whole := b.ptr, extent(b.size)
	b.ptr, b.size = nil, 0
	if b.device != nil {
		C.ls_space_free(b.device.allocator, ptr)
		b.device.session.users.Add(-1)
		return nil
	}
	return errors.Join(b.release(), unix.MunmapPtr(ptr, whole))
}
