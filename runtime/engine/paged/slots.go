package paged

import (
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/ort"
)

// slots keeps one vector for each latent slot, off-heap. Prelude and Block write it after their call, Block and Coda
// read it before theirs; a slot's content is good until the controller hands the slot to another row.
type slots struct {
	mem   *ort.Buffer
	bytes int // of one vector
}

// gather copies the batch's rows, in packed order, into dst.
func (s *slots) gather(b *loopctl.Batch, dst *ort.Buffer) {
	from, to, at := s.mem.Bytes(), dst.Bytes(), 0
	for i := range b.Spans {
		for _, slot := range b.Spans[i].Rows {
			at += copy(to[at:at+s.bytes], from[int(slot)*s.bytes:])
		}
	}
}

// scatter copies packed rows back under their slots.
func (s *slots) scatter(b *loopctl.Batch, src *ort.Buffer) {
	from, to, at := src.Bytes(), s.mem.Bytes(), 0
	for i := range b.Spans {
		for _, slot := range b.Spans[i].Rows {
			at += copy(to[int(slot)*s.bytes:(int(slot)+1)*s.bytes], from[at:])
		}
	}
}
