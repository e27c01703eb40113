package measure_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// scripted starts a controller on the scripted engine, each of whose block calls takes a millisecond.
func scripted(t *testing.T, s loopctl.Scheduling) (*measure.Process, func() error) {
	t.Helper()
	engine := loopctltest.New(loopctl.Capacity{
		MaxRows: 32, Latents: 64, PageSize: 4, Pages: [3]int{0, 4000, 0}, Context: 64, Vocab: 256, Loops: loopctl.LoopRange{Min: 1, Default: 4, Max: 16},
	})
	engine.Fault = func(stage loopctl.Stage, _ int) error {
		if stage == loopctl.StageBlock {
			time.Sleep(time.Millisecond)
		}
		return nil
	}
	counter := &blockCounter{}
	c := loopctl.New(engine, loopctl.Config{Scheduling: s, Observer: counter})
	c.Start()
	return &measure.Process{Generator: c, Blocks: counter.read}, func() error { return c.Close(context.Background()) }
}

// blockCounter counts block calls.
type blockCounter struct {
	mu     sync.Mutex
	blocks loopctl.Blocks
}

func (b *blockCounter) Tick(t *loopctl.TickStats) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if call := &t.Calls[loopctl.StageBlock]; call.Rows > 0 {
		b.blocks.Add(loopctl.Blocks{Calls: 1, Rows: int64(call.Rows), Runnable: int64(max(t.Runnable, call.Rows)), Took: call.Took}, 1)
	}
}

func (b *blockCounter) Finished(*loopctl.Request, loopctl.Event) {}

func (b *blockCounter) read() loopctl.Blocks {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocks
}

// The shallow half takes its own time per token when depths share calls, and the deep half's when a batch waits for its
// deepest row.
func TestMixed(t *testing.T) {
	var list []measure.Scheduling
	for _, s := range []loopctl.Scheduling{loopctl.ScheduleDepth, loopctl.ScheduleLockstep} {
		list = append(list, measure.Scheduling{Name: s.String(), Start: func() (measure.Client, func() error) {
			return scripted(t, s)
		}})
	}
	last := -1
	r, err := measure.Mixed(t.Context(), list, measure.Mix{
		Classes: []measure.Class{{Loops: 2, Clients: 2}, {Loops: 16, Clients: 2}}, PromptTokens: 2, MaxTokens: 8, Requests: 1, Rounds: 1, Vocab: 256,
		Progress: func(done, total int, _ string) { last = total - done },
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != 0 {
		t.Errorf("progress ended %d short", last)
	}
	depth, lockstep := r.Schedulings[0], r.Schedulings[1]
	if got := depth.Classes[0].OfDeepest; got < 0.06 || got > 0.3 { // 2/16, and what a busy machine adds
		t.Errorf("shallow tokens take %.3f of the deep ones' time, want about 0.125", got)
	}
	if got := lockstep.Classes[0].OfDeepest; got < 0.7 || got > 1.3 {
		t.Errorf("in lockstep shallow tokens take %.3f of the deep ones' time, want about 1", got)
	}
	if depth.RowsPerCall == nil || *depth.RowsPerCall < 2 || *depth.RowsRunnable < 0.9 {
		t.Errorf("%v rows per call", depth.RowsPerCall)
	}
	if depth.TokensPerSecond.P50 <= 2*lockstep.TokensPerSecond.P50 || depth.SetTokensPerSecond.P50 <= 0 {
		t.Errorf("%.1f tok/s by depth, %.1f in lockstep", depth.TokensPerSecond.P50, lockstep.TokensPerSecond.P50)
	}
	if a := r.Alone[1].Classes[0]; a.Clients != 4 || a.TPOT.P50 < 16 || r.Alone[1].RowsPerCall == nil {
		t.Errorf("alone %+v", a)
	}
	var table bytes.Buffer
	if err := measure.Write(&table, measure.Table, r); err != nil || !strings.Contains(table.String(), "| lockstep | 2 | 16 |") ||
		!strings.HasSuffix(table.String(), "\n\nlockstep: static batching by depth, a batch waits for its row of the most loops\n") {
		t.Errorf("%v %s", err, table.String())
	}
}

func TestInProcess(t *testing.T) {
	target, stop := scripted(t, loopctl.ScheduleDepth)
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	r, err := measure.Sweep(t.Context(), target, measure.Plan{
		Loops: []int{1, 4}, Concurrency: []int{1, 2}, PromptTokens: []int{3}, MaxTokens: []int{4}, Runs: 2, WarmUp: 1, Vocab: 256,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := r.Points[1]
	if p.MeanLoops != 4 || p.MSPerBlockCall == nil || *p.MSPerBlockCall < 1 || p.TPOT.P50 < 4 || p.Requests != 2 {
		t.Errorf("%+v", p)
	}
	if _, err := target.Do(t.Context(), measure.Ask{IDs: []int32{1}, Depth: measure.Depth{Loops: 99}, MaxTokens: 1}); err == nil || !strings.Contains(err.Error(), "loops") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := target.Do(ctx, measure.Ask{IDs: []int32{1}, MaxTokens: 50}); err == nil {
		t.Error("a cancelled call gave an answer")
	}
}
