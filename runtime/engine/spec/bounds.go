package spec

import (
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
)

// CheckBatch refuses what would overrun a buffer of an engine with these limits: a bug of the caller, met with an error
// and not with lost memory. Pages and positions are left to what reads them. tokens says that the stage reads token ids.
func CheckBatch(stage loopctl.Stage, b *loopctl.Batch, l *loopctl.Capacity, tokens bool) error {
	n, want := 0, 0
	for i := range b.Spans {
		s := &b.Spans[i]
		n += len(s.Rows)
		want += len(s.LogitRows)
		for _, slot := range s.Rows {
			if slot < 0 || int(slot) >= l.Latents {
				return fmt.Errorf("%s call: hidden-state slot %d is outside 0…%d", stage, slot, l.Latents-1)
			}
		}
		for _, r := range s.LogitRows {
			if r < 0 || int(r) >= len(s.Rows) {
				return fmt.Errorf("%s call: logit row %d is outside a span of %d rows", stage, r, len(s.Rows))
			}
		}
		if tokens && len(s.Tokens) != len(s.Rows) {
			return fmt.Errorf("%s call: a span of %d rows has %d tokens", stage, len(s.Rows), len(s.Tokens))
		}
	}
	if n != b.Rows || n == 0 || n > l.MaxRows || want > l.MaxRows {
		return fmt.Errorf("%s call: %d rows in spans, %d announced, %d logits wanted; a call takes 1…%d", stage, n, b.Rows, want, l.MaxRows)
	}
	return nil
}

// CheckFills refuses positions and pages that an engine with these limits does not have.
func CheckFills(fills []loopctl.Fill, l *loopctl.Capacity) error {
	for i := range fills {
		f := &fills[i]
		if f.Position < 0 || f.Position >= l.Context {
			return fmt.Errorf("KV propagation: position %d is outside 0…%d", f.Position, l.Context-1)
		}
		for _, pages := range [][]int32{{f.From}, f.To} {
			if err := CheckPages(pages, l.Pages[loopctl.StageBlock]); err != nil {
				return fmt.Errorf("KV propagation: %w", err)
			}
		}
	}
	return nil
}

// CheckPages refuses pages that an arena of so many does not have.
func CheckPages(pages []int32, have int) error {
	for _, p := range pages {
		if p < 0 || int(p) >= have {
			return fmt.Errorf("page %d is outside 0…%d", p, have-1)
		}
	}
	return nil
}

// CheckLatent refuses a slot that is not there, and a destination that is not of hidden_size.
func CheckLatent(slot int32, dst []float32, l *loopctl.Capacity, m *bundle.Manifest) error {
	if slot < 0 || int(slot) >= l.Latents || len(dst) != m.HiddenSize {
		return fmt.Errorf("hidden-state slot %d into %d numbers: slots are 0…%d and have %d numbers", slot, len(dst), l.Latents-1, m.HiddenSize)
	}
	return nil
}
