package loopctl_test

import (
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// timed is an engine whose coda costs as much as two block calls, by a clock of its own.
type timed struct {
	*loopctltest.Engine
	now   time.Time
	codas int
}

func (e *timed) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	e.now = e.now.Add(time.Millisecond)
	return e.Engine.Block(b)
}

func (e *timed) Coda(b *loopctl.Batch) ([][]float32, error) {
	e.now, e.codas = e.now.Add(2*time.Millisecond), e.codas+1
	return e.Engine.Coda(b)
}

// TestCohortsGather: sequences that come one after another share their coda calls soon, at little cost in ticks; those that
// come and go all the time wait a bounded time.
func TestCohortsGather(t *testing.T) {
	e := &timed{Engine: loopctltest.New(fairLimits(64)), now: time.Unix(0, 0)}
	c := loopctl.New(e, loopctl.Config{StreamBuffer: 1000, Logger: quiet, Now: func() time.Time { return e.now }})
	var streams []*loopctl.Stream
	for i := range uint64(8) {
		streams = append(streams, submitAs(t, c, i, 1, 40, 8))
		for range 1 + i%3 {
			c.Turn()
		}
	}
	ticks := 16 // those of above
	for ; c.Turn(); ticks++ {
		if ticks > 1000 {
			t.Fatal("they never end")
		}
	}
	if ticks > 8*40+16+2*8 || e.codas > 40+3*8 {
		t.Errorf("8 sequences of 40 tokens took %d ticks and %d calls of the coda", ticks, e.codas)
	}
	for i, s := range streams {
		n := 0
		for {
			if _, ok := tryNext(s); !ok {
				break
			}
			n++
		}
		if n != 40 {
			t.Errorf("sequence %d has %d tokens", i, n)
		}
	}
	for round := range uint64(300) { // short ones that come at all phases, beside a long one
		if round == 0 {
			streams[0] = submitAs(t, c, 99, 1, 900, 8)
		}
		submitAs(t, c, round, 1, 2+int(round%5), 8)
		for range 1 + round*7%5 {
			c.Turn()
		}
	}
	n := 0
	for {
		if _, ok := tryNext(streams[0]); !ok {
			break
		}
		n++
	}
	if want := 300 * 3 / 8 * 3 / 4; n < want {
		t.Errorf("beside others the long one has %d tokens, want %d", n, want)
	}
}
