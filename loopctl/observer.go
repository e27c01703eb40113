package loopctl

import (
	"slices"
	"sync"
	"time"
)

// Observer is told what the controller does. It is called on the engine goroutine, between native calls: it must be
// quick, must not block, and must not keep what the pointers point at.
type Observer interface {
	// Tick comes after each tick that made a call.
	Tick(t *TickStats)
	// Finished comes once for each accepted request, with the last event of its stream.
	Finished(r *Request, last Event)
}

// CallStats tells of one native call; Rows is 0 where the tick made none.
type CallStats struct {
	Rows, Spans int
	Took        time.Duration
	Err         error
}

// Blocks are sums over block calls.
type Blocks struct {
	Calls, Rows int64
	Runnable    int64 // rows that could have been in the calls, had there been room
	Took        time.Duration
}

// Add adds others, times sign: −1 takes them away.
func (b *Blocks) Add(other Blocks, sign int64) {
	b.Calls += sign * other.Calls
	b.Rows += sign * other.Rows
	b.Runnable += sign * other.Runnable
	b.Took += time.Duration(sign) * other.Took
}

// TickStats tells of one tick.
type TickStats struct {
	Tick     uint64
	Calls    [numStages]CallStats // indexed by Stage
	ByDepth  []int                // rows of the block call by the loops that they had done before it
	Runnable int                  // rows that could have been in the block call had it had room for all
	Prefill  int                  // rows of the block call that belong to prompts
	Tokens   []TokenStats         // sampled
	Exits    [][]int              // rows that left the loop, by ExitKind and loops done
	Probes   int                  // rows of the coda call that were only looked at
	Fills    int                  // rows copied to planes that they skipped
	Drafted  int                  // tokens guessed
	Accepted int                  // guesses that were right
	Cached   int                  // tokens whose pages came from the prefix cache

	Preempted int           // sequences that lost their pages and wait again: of them
	Released  int           // those whose readers were behind, and
	Yielded   int           // those that gave way to another client
	Passed    int           // sequences admitted while one before them waited for pages
	Running   int           // sequences running when the tick ended
	Waiting   int           // requests waiting when the tick ended
	Parked    int           // sequences that waited for their reader, preempted or not
	Took      time.Duration // the whole tick
}

// TokenStats tells of a sampled token.
type TokenStats struct {
	Exit  ExitKind // its sequence's policy
	Loops int
	First bool          // of its sequence
	After time.Duration // the token before it
}

// Snapshot is what the controller holds at about one moment: what waits and the backlog are read while the engine goes on.
type Snapshot struct {
	Running, Waiting int
	Parked           int // sequences that wait for their reader
	Draining         bool
	Ticks            uint64
	PagesUsed        [numStages]int // pages promised to running sequences, in use or not yet
	PagesCached      [numStages]int // pages that only the prefix cache holds: free, if somebody needs them
	PrefixQueries    int64          // tokens of admitted requests that could have been in the prefix cache
	PrefixHits       int64          // tokens that were
	Audits           int64          // checks of the accounting while no request ran
	Mismatches       int64          // checks that failed
	SecondsPerTick   float64        // a running mean: a decode row does one loop in that time
	PagesTotal       [numStages]int
	PageSize         int // tokens in a page
	LatentsUsed      int
	LatentsTotal     int
	RowsByDepth      []int // rows between prelude and coda, by loops done
	// Backlog is the work accepted and not yet done, in loop-steps: rows × loops, as if every sequence ran to its
	// MaxTokens.
	Backlog int64
	// SecondsPerLoopStep is a running mean of a tick's time divided by the rows of its block call; 0 before the
	// first. Backlog × SecondsPerLoopStep is how long a request may have to wait, at worst.
	SecondsPerLoopStep float64
}

// shown is what the engine goroutine lets others see. It alone writes, so it reads without the lock.
type shown struct {
	lock sync.Mutex // for a copy, never during a native call
	Snapshot
}

// update changes what others see.
func (s *shown) update(change func(s *Snapshot)) {
	s.lock.Lock()
	defer s.lock.Unlock()
	change(&s.Snapshot)
}

// publish stores what a tick changed.
func (c *Controller) publish() {
	c.shown.update(func(s *Snapshot) {
		s.Running, s.Parked, s.Ticks = len(c.running), c.stats.Parked, c.stats.Tick
		s.LatentsUsed = s.LatentsTotal - len(c.latents.free)
		u := c.memory.Usage()
		s.PagesUsed, s.PagesCached, s.PrefixQueries, s.PrefixHits = u.Used, u.Cached, u.Queries, u.Hits
		clear(s.RowsByDepth)
		for _, q := range c.running {
			for _, k := range q.chunks {
				s.RowsByDepth[k.depth] += k.rows()
			}
		}
	})
}

// time folds a tick into the pace: a running mean over about the last 32 ticks.
func (s *shown) time(t *TickStats) {
	rows, took := t.Calls[StageBlock].Rows, t.Took.Seconds()
	if rows == 0 || t.Calls[StageBlock].Err != nil {
		return
	}
	fold := func(mean *float64, now float64) {
		if *mean > 0 {
			now = *mean + (now-*mean)/32
		}
		*mean = now
	}
	s.update(func(s *Snapshot) {
		fold(&s.SecondsPerLoopStep, took/float64(rows))
		fold(&s.SecondsPerTick, took)
	})
}

// Snapshot returns the numbers of now. It never waits for a native call.
func (c *Controller) Snapshot() (s Snapshot) {
	c.shown.update(func(now *Snapshot) {
		s = *now
		s.RowsByDepth = slices.Clone(now.RowsByDepth)
	})
	s.Waiting, s.Draining, s.Backlog = int(c.queued.Load()), c.draining.Load(), c.backlog.Load()
	return s
}
