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

// CopyRows copies rows inside the buffer, which is taken for rows of width bytes: row from[i] to row to[i], in order of
// i. A row that one copy writes and another reads is the caller's mistake: on a device all are read before any is written.
// It allocates nothing after the first call.
func (b *Buffer) CopyRows(width int, from, to []int64) error {
	if b.ptr == nil {
		return errors.New("copy rows: the buffer is closed")
	}
	if width < 1 || len(from) != len(to) {
		return fmt.Errorf("copy rows of %d bytes: %d from, %d to", width, len(from), len(to))
	}
	rows := int64(b.size / width)
	for i := range from {
		if from[i] < 0 || from[i] >= rows || to[i] < 0 || to[i] >= rows {
			return fmt.Errorf("copy row %d to row %d: the buffer has %d of %d bytes", from[i], to[i], rows, width)
		}
	}
	if b.device != nil {
		return b.device.mover.copyRows(b, width, from, to)
	}
	mem := b.Bytes()
	for i := range from {
		copy(mem[to[i]*int64(width):(to[i]+1)*int64(width)], mem[from[i]*int64(width):])
	}
	return nil
}

// movingGraph is moved = ScatterND(cache, to, Gather(cache, from)), with cache and moved uint8 [rows, width], from int64
// [n], to int64 [n, 1]. Both operators exist for bytes on every provider.
// Upstream: https://onnx.ai/onnx/operators/onnx__ScatterND.html
//
//go:embed move.onnx
var movingGraph []byte

// mover runs movingGraph on a provider: memory that only the provider reaches is copied by the provider.
type mover struct {
	mu       sync.Mutex // several buffers share it
	session  *C.OrtSession
	call     *C.ls_call
	from, to *Buffer // int64 [moverRows], host memory
}

// moverRows is how many rows one native call copies.
const moverRows = 4096

// open makes the session and its call. What was made before an error is left for close.
func (m *mover) open(e *Env) error {
	o, err := e.options(SessionOptions{NoOptimize: true})
	if err != nil {
		return err
	}
	defer o.Destroy() //nolint:errcheck // fails only where the options were never made
	model := C.CBytes(movingGraph)
	defer C.free(model)
	if err := failed("make a copier", C.ls_session_create(handle, model, C.size_t(len(movingGraph)), optionsPointer(o), 0, &m.session)); err != nil {
		return err
	}
	slots := []TensorInfo{{Name: "cache", Type: Uint8}, {Name: "from", Type: Int64}, {Name: "to", Type: Int64}, {Name: "moved", Type: Uint8}}
	if m.call, err = newCall(m.session, 3, slots); err != nil {
		return err
	}
	if m.from, err = NewBuffer(moverRows * 8); err == nil {
		m.to, err = NewBuffer(moverRows * 8)
	}
	return err
}

// copyRows gathers the rows and scatters them into the same memory: the graph's output is its input, which spares
// the provider the copy of the rest.
func (m *mover) copyRows(b *Buffer, width int, from, to []int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := b.size / width
	for len(from) > 0 {
		n := copy(m.from.I64(), from)
		copy(m.to.I64(), to[:n])
		from, to = from[n:], to[n:]
		slots := unsafe.Slice(m.call.slots, 4)
		for _, i := range []int{0, 3} {
			fillSlot(&slots[i], b, rows*width, rows, width)
		}
		fillSlot(&slots[1], m.from, n*8, n, 0)
		fillSlot(&slots[2], m.to, n*8, n, 1)
		if err := failed("copy rows", C.ls_call_run(m.call)); err != nil {
			return err
		}
	}
	return nil
}

// fillSlot binds the beginning of b as [rows, width], or [rows] where width is 0.
func fillSlot(s *C.ls_slot, b *Buffer, bytes, rows, width int) {
	s.data, s.space, s.bytes, s.bound, s.dirty = b.ptr, b.info(), C.size_t(bytes), 1, 1
	s.rank, s.shape[0], s.shape[1] = 1, C.int64_t(rows), C.int64_t(width)
	if width > 0 {
		s.rank = 2
	}
}

func (m *mover) close() error {
	C.ls_call_release(m.call)
	if m.session != nil {
		C.ls_session_release(m.session)
	}
	return errors.Join(m.from.Close(), m.to.Close())
}
