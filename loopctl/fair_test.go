package loopctl_test

import (
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// progress counts, tick by tick, the rows that each sequence had in the block call.
type progress struct {
	*loopctltest.Engine
	rows map[uint64]int
	last map[uint64]int // block call of its latest row
	gap  map[uint64]int // the longest wait, in calls
	call int
	full int
}

func watch(l loopctl.Capacity) *progress {
	return &progress{Engine: loopctltest.New(l), rows: map[uint64]int{}, last: map[uint64]int{}, gap: map[uint64]int{}}
}

func (p *progress) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	p.call++
	for i := range b.Spans {
		s := &b.Spans[i]
		if p.rows[s.Seed] > 0 {
			p.gap[s.Seed] = max(p.gap[s.Seed], p.call-p.last[s.Seed])
		}
		p.rows[s.Seed] += len(s.Rows)
		p.last[s.Seed] = p.call
	}
	if b.Rows == p.Capacity().MaxRows {
		p.full++
	}
	return p.Engine.Block(b)
}

func fairLimits(rows int) loopctl.Capacity {
	l := loopctl.Capacity{MaxRows: rows, Latents: 256, PageSize: 16, Context: 4096, Vocab: 50, Loops: loopctl.LoopRange{Min: 1, Default: 2, Trained: 4, Max: 32}}
	l.Pages[loopctl.StageBlock] = 100000
	return l
}

func submitAs(t *testing.T, c *loopctl.Controller, name uint64, prompt, most, loops int) *loopctl.Stream {
	t.Helper()
	r := request(prompt, most, loops)
	r.Seed = name
	s, err := c.Submit(r)
	if err != nil {
		t.Fatal(err)
	}
	return s[0]
}

// TestWholePromptIsNotStarved: a prompt that goes in one call gets its rows where those who decode leave too few, or none.
func TestWholePromptIsNotStarved(t *testing.T) {
	for _, decoders := range []uint64{5, 12} {
		l := fairLimits(8)
		l.Whole = true
		c := loopctl.New(loopctltest.New(l), loopctl.Config{StreamBuffer: 1000, Logger: quiet})
		for i := range decoders {
			submitAs(t, c, i, 1, 900, 2)
		}
		for range 20 {
			c.Turn()
		}
		long := submitAs(t, c, 99, 6, 2, 2)
		for range 60 {
			c.Turn()
		}
		if _, ok := tryNext(long); !ok {
			t.Errorf("%d decode in calls of 8 rows: a whole prompt of 6 has no token after 60 ticks", decoders)
		}
	}
}

// TestFairDecode: eight deep and eight shallow sequences decode in a call of 10 rows. Each loop of each costs the same,
// so each gets the same rows, and none waits longer than two calls.
func TestFairDecode(t *testing.T) {
	p := watch(fairLimits(10))
	c := loopctl.New(p, loopctl.Config{StreamBuffer: 1000, Logger: quiet})
	for i := range uint64(16) {
		submitAs(t, c, i, 1, 900, map[bool]int{true: 32, false: 2}[i%2 == 0])
	}
	for range 400 { // the first ticks are those of the prompts, which come second
		c.Turn()
	}
	clear(p.rows)
	clear(p.gap)
	p.full = 0
	for range 800 {
		c.Turn()
	}
	if p.full != 800 {
		t.Errorf("%d of 800 calls were full: 16 sequences always have 10 rows to run", p.full)
	}
	for i := range uint64(16) {
		if got := p.rows[i]; got < 480 || got > 520 {
			t.Errorf("sequence %d had %d rows in 800 calls of 10 rows, want 500 each", i, got)
		}
		if p.gap[i] > 2 {
			t.Errorf("sequence %d waited %d calls", i, p.gap[i])
		}
	}
}

// TestDeepDoesNotSlowShallow: with room for all, a shallow request's tokens come at its own pace.
func TestDeepDoesNotSlowShallow(t *testing.T) {
	c := loopctl.New(loopctltest.New(fairLimits(64)), loopctl.Config{StreamBuffer: 1000, Logger: quiet})
	var deep, shallow []*loopctl.Stream
	for i := range uint64(8) {
		deep = append(deep, submitAs(t, c, 2*i, 1, 900, 16))
		shallow = append(shallow, submitAs(t, c, 2*i+1, 1, 900, 2))
	}
	for range 320 {
		c.Turn()
	}
	count := func(streams []*loopctl.Stream) (n int) {
		for _, s := range streams {
			for {
				if _, ok := tryNext(s); !ok {
					break
				}
				n++
			}
		}
		return n
	}
	if d, s := count(deep), count(shallow); d != 8*320/16 || s != 8*320/2 {
		t.Errorf("in 320 ticks the deep had %d tokens and the shallow %d, want %d and %d", d, s, 8*320/16, 8*320/2)
	}
}

// TestLongPromptDoesNotStall: a prompt of 2,000 rows at 32 loops comes while two sequences decode. They have a row in
// every call, the prompt has its budget, and a short prompt behind it has its turn within two calls.
func TestLongPromptDoesNotStall(t *testing.T) {
	p := watch(fairLimits(32))
	c := loopctl.New(p, loopctl.Config{StreamBuffer: 1000, RowBudget: 16, ChunkRows: 8, Logger: quiet})
	submitAs(t, c, 1, 1, 900, 4)
	submitAs(t, c, 2, 1, 900, 7)
	for range 10 {
		c.Turn()
	}
	submitAs(t, c, 3, 2000, 1, 32)
	for range 50 {
		c.Turn()
	}
	clear(p.gap)
	clear(p.rows)
	short := submitAs(t, c, 4, 16, 1, 4)
	ticks := 0
	for ; ticks < 100; ticks++ {
		c.Turn()
		if ev, ok := tryNext(short); ok && ev.Finish == loopctl.FinishLength {
			break
		}
	}
	if ticks > 12 { // alone it takes 5: two chunks through four loops
		t.Errorf("the short prompt took %d ticks", ticks)
	}
	if p.gap[1] > 1 || p.gap[2] > 1 {
		t.Errorf("decoding stalled: gaps %v", p.gap)
	}
	if got := p.rows[3] + p.rows[4]; got < 14*ticks {
		t.Errorf("prompts had %d rows in %d ticks of 16", got, ticks)
	}
}

// TestDecodeFillsCallForever: rows of those who decode fill every call; the prompt gets in all the same.
func TestDecodeFillsCallForever(t *testing.T) {
	p := watch(fairLimits(4))
	c := loopctl.New(p, loopctl.Config{StreamBuffer: 5000, Logger: quiet})
	for i := range uint64(4) {
		submitAs(t, c, i, 1, 3000, 3)
	}
	for range 20 {
		c.Turn()
	}
	s := submitAs(t, c, 9, 3, 1, 4)
	for i := 0; ; i++ {
		if i > 200 {
			t.Fatal("the prompt starves")
		}
		c.Turn()
		if ev, ok := tryNext(s); ok && ev.Finish == loopctl.FinishLength {
			break
		}
	}
}
