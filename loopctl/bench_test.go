package loopctl_test

import (
	"fmt"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
)

// noop does nothing: what is measured is the tick itself.
type noop struct {
	limits loopctl.Capacity
	logits [][]float32
}

func newNoop(rows int) *noop {
	n := &noop{limits: loopctl.Capacity{
		MaxRows: rows, Latents: 2 * rows, PageSize: 16, Context: 1 << 22, Vocab: 1,
		Loops: loopctl.LoopRange{Min: 1, Default: 4, Trained: 4, Max: 32},
	}}
	n.limits.Pages[loopctl.StageBlock] = 1 << 22
	n.logits = make([][]float32, rows)
	for i := range n.logits {
		n.logits[i] = make([]float32, 1)
	}
	return n
}

func (n *noop) Capacity() loopctl.Capacity                    { return n.limits }
func (n *noop) Prelude(*loopctl.Batch) error                  { return nil }
func (n *noop) Block(*loopctl.Batch) (loopctl.RowInfo, error) { return loopctl.RowInfo{}, nil }
func (*noop) Fill([]loopctl.Fill) error                       { return nil }
func (*noop) Latent(int32, []float32) error                   { return nil }

func (n *noop) Coda(b *loopctl.Batch) ([][]float32, error) {
	rows := 0
	for i := range b.Spans {
		rows += len(b.Spans[i].LogitRows)
	}
	return n.logits[:rows], nil
}

type first struct{}

func (first) Sample([]float32) loopctl.Sampled { return loopctl.Sampled{} }

// decoders starts n sequences of mixed depth and runs their prompts.
func decoders(tb testing.TB, n int) (*loopctl.Controller, []*loopctl.Stream) {
	c := loopctl.New(newNoop(n), loopctl.Config{MaxRunning: n, QueueLimit: n, StreamBuffer: 64, Logger: quiet})
	var streams []*loopctl.Stream
	for i := range n {
		s, err := c.Submit(&loopctl.Request{Prompt: []int32{0}, MaxTokens: (1 << 22) / n / 8, Loops: 1 + i%8, Sampler: first{}})
		if err != nil {
			tb.Fatal(err)
		}
		streams = append(streams, s...)
	}
	for range 16 {
		turn(tb, c, streams)
	}
	return c, streams
}

func turn(tb testing.TB, c *loopctl.Controller, streams []*loopctl.Stream) {
	if !c.Turn() {
		tb.Fatal("nothing to do")
	}
	for _, s := range streams {
		tryNext(s)
	}
}

// TestDecodeAllocatesNothing: in the steady state a token costs no allocation, tick, stream and reader together.
func TestDecodeAllocatesNothing(t *testing.T) {
	c, streams := decoders(t, 16)
	if got := testing.AllocsPerRun(500, func() { turn(t, c, streams) }); got != 0 {
		t.Errorf("%v allocations a tick, want 0", got)
	}
}

// BenchmarkTick is the scheduler's own cost: ns/row is what each row of a block call pays for being scheduled.
func BenchmarkTick(b *testing.B) {
	for _, n := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			c, streams := decoders(b, n)
			b.ReportAllocs()
			left := (1 << 22) / n / 8
			for b.Loop() {
				if left--; left < 64 { // before anybody reaches MaxTokens
					b.StopTimer()
					c, streams = decoders(b, n)
					left = (1 << 22) / n / 8
					b.StartTimer()
				}
				turn(b, c, streams)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
		})
	}
}
