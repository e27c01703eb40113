package measure_test

import (
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// Calls are timed as far as an engine takes rows, each as a scheduler would make it.
func TestRowCosts(t *testing.T) {
	l := loopctl.Capacity{MaxRows: 20, Latents: 20, PageSize: 4, Context: 40, Vocab: 7, Loops: loopctl.LoopRange{Min: 1, Default: 3, Trained: 3, Max: 8}}
	l.Pages = [3]int{30, 30, 30}
	e := loopctltest.New(l)
	e.Fault = func(stage loopctl.Stage, _ int) error {
		if stage == loopctl.StageBlock {
			time.Sleep(time.Millisecond)
		}
		return nil
	}
	costs, err := measure.RowCosts(t.Context(), e, []int{1, 2, 4, 8, 16, 32}, 0)
	if err != nil || len(e.Breaches) > 0 || len(costs) != 5 {
		t.Fatalf("%v, %v, %+v", err, e.Breaches, costs)
	}
	for i, c := range costs {
		if c.Rows != 1<<i || c.Block < 1 || c.Coda <= 0 || c.Coda > c.Block || c.EachRow() != c.Block/float64(c.Rows) || c.RowsPerSecond() > 1000*float64(c.Rows) {
			t.Errorf("%+v", c)
		}
	}
	var out strings.Builder
	if err := measure.WriteRowCosts(&out, costs); err != nil || strings.Count(out.String(), "\n") != 7 {
		t.Errorf("%v, %s", err, out.String())
	}
}
