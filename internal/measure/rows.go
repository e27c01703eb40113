package measure

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// RowCost is what calls of so many rows take, medians.
type RowCost struct {
	Rows  int     `json:"rows"`
	Block float64 `json:"block_ms"` // a call of the block: one loop of every row
	Coda  float64 `json:"coda_ms"`
}

// EachRow is the milliseconds of a loop of one row.
func (r *RowCost) EachRow() float64 { return r.Block / float64(r.Rows) }

// RowsPerSecond is how many loops of a row are done in a second.
func (r *RowCost) RowsPerSecond() float64 { return 1000 * ratio(float64(r.Rows), r.Block) }

// rowRounds is how often each number of rows is timed, at least.
const rowRounds = 7

// RowCosts times calls of each number of rows, as far as the engine takes so many: the first tokens of as many sequences. The
// numbers take turns, so that a machine that becomes slower meanwhile is the same to all, for so long. Nobody else may use the engine.
func RowCosts(ctx context.Context, e loopctl.Engine, rows []int, most time.Duration) (out []RowCost, err error) {
	var blocks, codas [][]float64
	l := e.Capacity()
	for began, round := time.Now(), 0; round <= rowRounds || time.Since(began) < most; round++ {
		for i, n := range rows {
			if n > min(l.MaxRows, l.Latents) || l.Pages[loopctl.StageBlock] > 0 && n > l.Pages[loopctl.StageBlock] {
				break
			}
			if round == 0 {
				out, blocks, codas = append(out, RowCost{Rows: n}), append(blocks, nil), append(codas, nil)
			}
			block, coda, err := timeRows(e, n, round)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, fmt.Errorf("a call of %d rows: %w", n, err)
			}
			if round > 0 { // the first makes caches and buffers
				blocks[i], codas[i] = append(blocks[i], ms(block)), append(codas[i], ms(coda))
			}
		}
	}
	for i := range out {
		out[i].Block, out[i].Coda = spreadOf(blocks[i]).P50, spreadOf(codas[i]).P50
	}
	return out, nil
}

// timeRows makes one call of each stage and times those of block and coda.
func timeRows(e loopctl.Engine, n, seed int) (block, coda time.Duration, err error) {
	l := e.Capacity()
	batch := func(stage loopctl.Stage) *loopctl.Batch {
		b := &loopctl.Batch{Rows: n}
		for i := range n {
			s := loopctl.Span{Rows: []int32{int32(i)}, Tokens: []int32{int32((seed*n + i) % l.Vocab)}, Seed: uint64(i)}
			if l.Pages[stage] > 0 {
				s.Pages = []int32{int32(i % l.Pages[stage])}
			}
			if l.Whole {
				s.Visible = 1
			}
			switch stage {
			case loopctl.StageBlock:
				s.Time, s.Step = loopctl.Trajectory(nil).At(0, l.Loops.Default)
			case loopctl.StageCoda:
				s.LogitRows = []int32{0}
			}
			b.Spans = append(b.Spans, s)
		}
		return b
	}
	if err := e.Prelude(batch(loopctl.StagePrelude)); err != nil {
		return 0, 0, err
	}
	b := batch(loopctl.StageBlock)
	start := time.Now()
	if _, err := e.Block(b); err != nil {
		return 0, 0, err
	}
	block = time.Since(start)
	b = batch(loopctl.StageCoda)
	start = time.Now()
	_, err = e.Coda(b)
	return block, time.Since(start), err
}

// WriteRowCosts prints a line for each number of rows.
func WriteRowCosts(w io.Writer, costs []RowCost) error {
	if _, err := fmt.Fprintf(w, "measured here, medians:\n%9s%16s%16s%16s%16s\n", "rows", "ms a block call", "ms a row", "rows/s", "ms a coda call"); err != nil {
		return err
	}
	for _, c := range costs {
		if _, err := fmt.Fprintf(w, "%9d%16.3f%16.4f%16.0f%16.3f\n", c.Rows, c.Block, c.EachRow(), c.RowsPerSecond(), c.Coda); err != nil {
			return err
		}
	}
	return nil
}
