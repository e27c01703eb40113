package paged

import (
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/ort"
)

// metadata is what the attention nodes read of a batch: int32, packed before each call of a stage with layers.
type metadata struct {
	cumulative *ort.Buffer // [spans+1]
	past       *ort.Buffer // [spans]
	table      *ort.Buffer // [spans, columns]
	visible    *ort.Buffer // [spans]
}

// pack writes the batch's spans and returns the columns of the page table.
func (m *metadata) pack(b *loopctl.Batch) (columns int) {
	for i := range b.Spans {
		columns = max(columns, len(b.Spans[i].Pages))
	}
	cumulative, past, table, visible := m.cumulative.I32(), m.past.I32(), m.table.I32(), m.visible.I32()
	rows := int32(0)
	for i := range b.Spans {
		s := &b.Spans[i]
		cumulative[i] = rows
		rows += int32(len(s.Rows))
		past[i], visible[i] = int32(s.Past), int32(s.Visible)
		line := table[i*columns : (i+1)*columns]
		for j := copy(line, s.Pages); j < columns; j++ {
			line[j] = -1
		}
	}
	cumulative[len(b.Spans)] = rows
	return columns
}

// packRows writes a number for each row: of makes it of the row's span and its place there.
func packRows[T int64 | float32](b *loopctl.Batch, dst []T, of func(s *loopctl.Span, i int) T) {
	at := 0
	for i := range b.Spans {
		for j := range b.Spans[i].Rows {
			dst[at] = of(&b.Spans[i], j)
			at++
		}
	}
}

// packLogitRows writes the packed rows of which logits are wanted, and returns how many they are.
func packLogitRows(b *loopctl.Batch, dst []int64) int {
	n, first := 0, 0
	for i := range b.Spans {
		for _, r := range b.Spans[i].LogitRows {
			dst[n] = int64(first) + int64(r)
			n++
		}
		first += len(b.Spans[i].Rows)
	}
	return n
}
