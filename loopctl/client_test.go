package loopctl_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// crowded is a controller by hand, whose clock goes a millisecond a tick.
type crowded struct {
	*loopctl.Controller
	t   *testing.T
	p   *progress
	now time.Time
}

func crowd(t *testing.T, l loopctl.Capacity, cfg loopctl.Config) *crowded {
	c := &crowded{t: t, p: watch(l), now: time.Unix(0, 0)}
	cfg.Logger, cfg.Now = quiet, func() time.Time { return c.now }
	cfg.QueueLimit = cmp.Or(cfg.QueueLimit, 1000)
	c.Controller = loopctl.New(c.p, cfg)
	return c
}

func (c *crowded) turns(n int) {
	c.t.Helper()
	for range n {
		c.Turn()
		c.now = c.now.Add(time.Millisecond)
	}
	if err := c.Check(); err != nil {
		c.t.Fatal(err)
	}
}

// come submits n requests like r.
func (c *crowded) come(n int, client string, prompt, most, loops int, change ...func(*loopctl.Request)) (out []*loopctl.Stream) {
	c.t.Helper()
	for i := range n {
		r := request(prompt, most, loops)
		r.Client, r.Seed, r.NoCache = client, uint64(client[0]), true
		for j := range r.Prompt {
			r.Prompt[j] = int32(i+j) % 50
		}
		for _, f := range change {
			f(r)
		}
		s, err := c.Submit(r)
		if err != nil {
			c.t.Fatal(err)
		}
		out = append(out, s[0])
	}
	return out
}

// first is how many ticks it takes until a stream has a token.
func (c *crowded) first(s *loopctl.Stream) (ticks int) {
	c.t.Helper()
	for ; ticks < 5000; ticks++ {
		if _, ok := tryNext(s); ok {
			return ticks
		}
		c.turns(1)
	}
	return ticks
}

// A small request beside each of those that held the scheduler before has its token loops+2 ticks after it came, at most.
// SECURITY.md promises it.
func TestFirstTokenBeside(t *testing.T) {
	const loops = 4
	const bound = loops + 2
	few := fairLimits(64)
	few.Pages[loopctl.StageBlock] = 40
	urgent := func(r *loopctl.Request) { r.Priority = -1000 }
	for _, tt := range []struct {
		name   string
		l      loopctl.Capacity
		cfg    loopctl.Config
		attack func(c *crowded)
		client string // of the small one; the others' is a
		bound  int
	}{
		{"64 sequences that nobody reads", fairLimits(256), loopctl.Config{StreamBuffer: 2}, func(c *crowded) {
			c.come(64, "a", 4, 100, 4)
			c.turns(200)
			if s := c.Snapshot(); s.Running != 64 || s.Parked != 64 {
				t.Errorf("%d run, %d are parked", s.Running, s.Parked)
			}
		}, "a", bound},
		{"a large one that waits for pages", few, loopctl.Config{}, func(c *crowded) {
			c.come(1, "a", 300, 300, 1)
			c.turns(20)
			c.come(1, "a", 300, 300, 1)
			c.turns(5)
			if s := c.Snapshot(); s.Running != 1 || s.Waiting != 1 {
				t.Errorf("%d run, %d wait", s.Running, s.Waiting)
			}
		}, "a", bound},
		{"128 sequences at 32 loops", fairLimits(256), loopctl.Config{StreamBuffer: 500}, func(c *crowded) {
			c.come(128, "a", 16, 400, 32)
			c.turns(500)
		}, "b", bound},
		{"the same, urgent", fairLimits(256), loopctl.Config{StreamBuffer: 500}, func(c *crowded) {
			c.come(128, "a", 16, 400, 32, urgent)
			c.turns(500)
		}, "b", bound},
		{"128 long prompts at 32 loops", fairLimits(256), loopctl.Config{}, func(c *crowded) {
			c.come(128, "a", 1000, 10, 32)
			c.turns(50)
		}, "b", bound + 32}, // their rows have the latents, and give them back within their loops
		{"the same, and few pages", few, loopctl.Config{StreamBuffer: 500}, func(c *crowded) {
			c.come(128, "a", 16, 100, 4)
			c.turns(100)
		}, "b", bound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := crowd(t, tt.l, tt.cfg)
			c.t = t
			tt.attack(c)
			if got := c.first(c.come(1, tt.client, 8, 1, loops)[0]); got > tt.bound {
				t.Errorf("the first token came after %d ticks, want %d at most", got, tt.bound)
			}
		})
	}
}

// Those who pass a request that waits for pages don't keep it from them for longer than its patience, however many come.
func TestPassedOverInTime(t *testing.T) {
	l := fairLimits(64)
	l.Pages[loopctl.StageBlock] = 40
	c := crowd(t, l, loopctl.Config{Patience: 50 * time.Millisecond, StreamBuffer: 500})
	var small []*loopctl.Stream
	more := func() {
		small = append(small, c.come(1, "a", 4, 19, 1)...)
		c.turns(1)
	}
	for range 40 { // from then on 19 run, with two pages each
		more()
	}
	large := c.come(1, "a", 300, 2, 1)[0]
	ticks := 0
	for ; ticks < 1000; ticks++ {
		more()
		if _, ok := tryNext(large); ok {
			break
		}
	}
	if ticks < 50 || ticks > 75 {
		t.Errorf("the large one had its first token after %d ticks, want its patience of 50 and those of its prompt", ticks)
	}
	c.turns(500)
	preempted := 0
	for i, s := range small {
		n, last := 0, loopctl.Event{}
		for ev, ok := tryNext(s); ok; ev, ok = tryNext(s) {
			n, last = n+1, ev
		}
		if n != 19 || last.Finish != loopctl.FinishLength {
			t.Fatalf("small one %d: %d tokens, %+v", i, n, last)
		}
		preempted += last.Stats.Preemptions
	}
	if preempted == 0 {
		t.Error("nobody gave way")
	}
}

// Two clients with more than there is get loop-steps by their weights; one with less gets all it can use.
func TestShares(t *testing.T) {
	for _, tt := range []struct {
		rows, a, b, running int
		weight              float64 // of b
		want                float64 // b's part of the rows
	}{
		{256, 200, 200, 0, 1, 0.5},
		{256, 200, 200, 0, 3, 0.75},
		{32, 200, 200, 0, 1, 0.5},
		{32, 60, 3, 0, 1, 3. / 32},
		{32, 50, 14, 0, 3, 14. / 32},
		{32, 1, 300, 1, 1, 0.5}, // one place: a's long one, then b's short ones
	} {
		c := crowd(t, fairLimits(tt.rows), loopctl.Config{StreamBuffer: 5000, MaxRunning: tt.running})
		c.come(tt.a, "a", 1, 2000, 8)
		most := 2000
		if tt.running == 1 {
			c.come(1, "a", 1, 2000, 8)
			most = 20
		}
		c.turns(2)
		c.come(tt.b, "b", 1, most, 8, func(r *loopctl.Request) { r.Weight = tt.weight })
		c.turns(200)
		if tt.running == 1 {
			c.turns(16000 - 200 + 10) // a's first has ended
			c.p.rows = map[uint64]int{'a': c.p.rows['a']}
			c.turns(16000)
			if got := float64(c.p.rows['b']) / float64(c.p.rows['a']); got < 0.95 || got > 1.05 {
				t.Errorf("%+v: b caught up to %.2f of what a had", tt, got)
			}
			continue
		}
		clear(c.p.rows)
		c.turns(1000)
		b := float64(c.p.rows['b'])
		if got := b / (b + float64(c.p.rows['a'])); got < tt.want*0.97 || got > tt.want*1.03 {
			t.Errorf("%+v: b had %.3f of the rows", tt, got)
		}
	}
}

// A priority below 0 passes nobody else's requests, and takes nobody else's pages, where clients are equal.
func TestPriorityAmongEqualClients(t *testing.T) {
	urgent := func(r *loopctl.Request) { r.Priority = -1000 }
	c := crowd(t, fairLimits(64), loopctl.Config{MaxRunning: 1})
	c.come(1, "a", 1, 20, 1)
	c.turns(2)
	b, late := c.come(1, "b", 1, 1, 1)[0], c.come(1, "c", 1, 1, 1, urgent)[0]
	c.first(b)
	if _, ok := tryNext(late); ok {
		t.Error("an urgent request passed another client's")
	}
	l := fairLimits(64)
	l.Pages[loopctl.StageBlock] = 40
	c = crowd(t, l, loopctl.Config{StreamBuffer: 1000})
	both := append(c.come(1, "a", 4, 500, 1), c.come(1, "b", 4, 500, 1, urgent)...)
	c.turns(2500)
	for i, s := range both {
		_, last := drainAll(t, s)
		if (last.Stats.Preemptions > 0) != (i == 1) {
			t.Errorf("sequence %d was preempted %d times", i, last.Stats.Preemptions)
		}
	}
}

// Who waits for a reader, or in the background, is owed nothing for it, and makes newcomers be owed nothing.
func TestWhoIsOwedNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		idle     int    // sequences of a that wait
		priority int    // theirs
		newcomer string // whose part is looked at
	}{
		"beside one in the background": {1, 9, "c"},
		"beside one that is not read":  {1, 0, "c"},
		"when they are read":           {40, 0, "a"},
	} {
		c := crowd(t, fairLimits(32), loopctl.Config{StreamBuffer: 4, ParkTime: 10 * time.Millisecond, MaxRunning: 64})
		var read []*loopctl.Stream
		turns := func(n int) {
			for range n {
				c.Turn()
				c.now = c.now.Add(time.Millisecond)
				for _, s := range read {
					for _, ok := tryNext(s); ok; _, ok = tryNext(s) {
					}
				}
			}
		}
		read = c.come(100, "b", 1, 4000, 2)
		turns(10)
		idle := c.come(tt.idle, "a", 1, 4000, 2, func(r *loopctl.Request) { r.Priority = tt.priority })
		turns(1500)
		c.turns(1) // with its checks
		if s := c.Snapshot(); s.Waiting < tt.idle || tt.priority == 0 && s.Parked != tt.idle {
			t.Errorf("%s: %d wait, %d are parked", name, s.Waiting, s.Parked)
		}
		if tt.newcomer == "a" {
			read = append(read, idle...)
		} else {
			read = append(read, c.come(60, "c", 1, 4000, 2)...)
		}
		clear(c.p.rows)
		turns(1000)
		n := float64(c.p.rows[uint64(tt.newcomer[0])])
		if got := n / (n + float64(c.p.rows['b'])); got < 0.4 || got > 0.55 {
			t.Errorf("%s: %s has %.3f of the rows", name, tt.newcomer, got)
		}
	}
}

// Those who wait for their readers are bounded: beyond that, of the client with the most, who has waited longest ends.
func TestMostAsleep(t *testing.T) {
	c := crowd(t, smallLimits(), loopctl.Config{StreamBuffer: 2, ParkTime: time.Millisecond, QueueLimit: 1})
	var streams []*loopctl.Stream
	for _, client := range []string{"a", "b", "b", "c", "d"} {
		streams = append(streams, c.come(1, client, 1, 5, 1)...)
		c.turns(20)
	}
	if s := c.Snapshot(); s.Running != 0 || s.Waiting != 4 {
		t.Errorf("%d run and %d wait", s.Running, s.Waiting)
	}
	for i, s := range streams {
		var last loopctl.Event
		for ev, ok := tryNext(s); ok; ev, ok = tryNext(s) {
			last = ev
			c.turns(20)
		}
		if ended := errors.Is(last.Err, loopctl.ErrQueueFull); ended != (i == 1) || !ended && last.Finish != loopctl.FinishLength {
			t.Errorf("sequence %d: %+v", i, last)
		}
	}
}

// A sequence whose reader stays behind gives pages and place back, though nobody else wants them. When it is read it ends as it
// would have.
func TestParkTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := loopctl.New(loopctltest.New(smallLimits()), loopctl.Config{StreamBuffer: 4, ParkTime: time.Minute, QueueLimit: 1, Logger: quiet})
		c.Start()
		r := request(3, 9, 2)
		streams, err := c.Submit(r)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if s := c.Snapshot(); s.Running != 1 || s.Parked != 1 || s.PagesUsed[loopctl.StageBlock] == 0 {
			t.Errorf("before: %+v", s)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := c.Snapshot(); s.Running != 0 || s.Waiting != 1 || s.Parked != 1 || s.PagesUsed[loopctl.StageBlock] != 0 {
			t.Errorf("after: %+v", s)
		}
		other, err := c.Submit(request(1, 1, 1)) // the queue has one place, which it doesn't take
		if err != nil {
			t.Fatal(err)
		}
		drainAll(t, other[0])
		ids, last := drainAll(t, streams[0])
		if want := expect(smallLimits(), r, 1).Tokens; !slices.Equal(ids, want) || last.Stats.Preemptions < 1 {
			t.Errorf("%v, %d preemptions, want %v", ids, last.Stats.Preemptions, want)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A queue full of those who find no pages costs a tick little.
func BenchmarkBlockedQueue(b *testing.B) {
	l := fairLimits(64)
	l.Pages[loopctl.StageBlock] = 40
	c := loopctl.New(loopctltest.New(l), loopctl.Config{StreamBuffer: 1 << 20, Logger: quiet})
	for i := range 257 {
		r := request(300, 300, 1)
		r.Client = fmt.Sprint(i % 8)
		if i == 0 {
			r.MaxTokens = 3
		}
		if _, err := c.Submit(r); err != nil {
			b.Fatal(err)
		}
		c.Turn()
	}
	for b.Loop() {
		c.Turn()
	}
}
