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

	"google.golang.org/protobuf/encoding/protowire"
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
		return b.device.copyRows(b, width, from, to)
	}
	for i := range from {
		copy(b.host[to[i]*int64(width):(to[i]+1)*int64(width)], b.host[from[i]*int64(width):])
	}
	return nil
}

// mover runs movingGraph on a provider: memory that only the provider reaches is copied by the provider.
type mover struct {
	session  *C.OrtSession
	call     *C.ls_call
	from, to *Buffer // int64 [moverRows], host memory
}

// moverRows is how many rows one native call copies.
const moverRows = 4096

func (sp *space) openMover() (err error) {
	m := &sp.mover
	graph := movingGraph()
	inputs, outputs := []helperSlot{{"cache", Uint8}, {"from", Int64}, {"to", Int64}}, []helperSlot{{"moved", Uint8}}
	if m.session, m.call, err = sp.helper(graph, inputs, outputs); err != nil {
		return err
	}
	if m.from, err = NewBuffer(moverRows * 8); err != nil {
		return err
	}
	m.to, err = NewBuffer(moverRows * 8)
	return err
}

// copyRows gathers the rows and scatters them into the same memory: the graph's output is its input, which spares
// the provider the copy of the rest.
func (sp *space) copyRows(b *Buffer, width int, from, to []int64) error {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	m := &sp.mover
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

// movingGraph is moved = ScatterND(cache, to, Gather(cache, from)) in ONNX's wire format, with cache and moved uint8
// [rows, width], from int64 [n], to int64 [n, 1]. Both operators exist for bytes on every provider.
// Upstream: https://onnx.ai/onnx/operators/onnx__ScatterND.html
func movingGraph() []byte {
	message := func(field protowire.Number, parts ...[]byte) []byte {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), all)
	}
	text := func(field protowire.Number, s string) []byte { return message(field, []byte(s)) }
	number := func(field protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v)
	}
	value := func(field protowire.Number, name string, t ElementType, dims ...string) []byte {
		var shape []byte
		for _, d := range dims {
			if d == "1" {
				shape = append(shape, message(1, number(1, 1))...)
				continue
			}
			shape = append(shape, message(1, text(2, d))...)
		}
		return message(field, text(1, name), message(2, message(1, number(1, uint64(t)), message(2, shape))))
	}
	node := func(op, output string, inputs ...string) []byte {
		var all []byte
		for _, in := range inputs {
			all = append(all, text(1, in)...)
		}
		return message(1, all, text(2, output), text(4, op))
	}
	graph := message(7,
		node("Gather", "rows", "cache", "from"), node("ScatterND", "moved", "cache", "to", "rows"),
		text(2, "move"),
		value(11, "cache", Uint8, "r", "w"), value(11, "from", Int64, "n"), value(11, "to", Int64, "n", "1"),
		value(12, "moved", Uint8, "r", "w"),
	)
	return append(append(number(1, 8), graph...), message(8, number(2, 13))...)
}
