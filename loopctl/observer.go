package loopctl

import (
	"math"
	"sync/atomic"
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
	// Preempted sequences lost their pages and wait again; Degraded ones were given fewer loops than they asked for.
	Preempted, Degraded int
	Running             int           // sequences running when the tick ended
	Waiting             int           // requests waiting when the tick ended
	Parked              int           // sequences that waited for their reader
	Took                time.Duration // the whole tick
}

// TokenStats tells of a sampled token.
type TokenStats struct {
	Exit  ExitKind // its sequence's policy
	Loops int
	First bool          // of its sequence
	After time.Duration // the token before it
}

// Snapshot is what the controller holds at about one moment: its numbers are read one by one while the engine goes on.
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

// gauges are what the engine goroutine lets others read. Each is stored only when it changed.
type gauges struct {
	running, ticks, latents atomic.Int64
	parked                  atomic.Int64
	pages, cached           [numStages]atomic.Int64
	queries, hits           atomic.Int64 // of the prefix cache
	audits, mismatches      atomic.Int64
	byDepth                 []atomic.Int64
	backlog                 atomic.Int64
	pace                    atomic.Uint64 // seconds per loop-step, as bits
	tick                    atomic.Uint64 // seconds per tick that called the block, as bits
}

func set(g *atomic.Int64, v int64) {
	if g.Load() != v {
		g.Store(v)
	}
}

// publish stores what Snapshot shows.
func (c *Controller) publish() {
	g := &c.gauges
	set(&g.running, int64(len(c.running)))
	set(&g.parked, int64(c.stats.Parked))
	set(&g.ticks, int64(c.stats.Tick))
	set(&g.latents, int64(c.capacity.Latents-len(c.latents.free)))
	u := c.memory.Usage()
	for st := range numStages {
		set(&g.pages[st], int64(u.Used[st]))
		set(&g.cached[st], int64(u.Cached[st]))
	}
	set(&g.queries, u.Queries)
	set(&g.hits, u.Hits)
	clear(c.flight)
	for _, s := range c.running {
		for _, k := range s.chunks {
			c.flight[k.depth] += int64(k.rows())
		}
	}
	for d, n := range c.flight {
		set(&g.byDepth[d], n)
	}
}

// time folds a tick into the pace: a running mean over about the last 32 ticks.
func (g *gauges) time(t *TickStats) {
	rows := t.Calls[StageBlock].Rows
	if rows == 0 || t.Calls[StageBlock].Err != nil {
		return
	}
	fold(&g.pace, t.Took.Seconds()/float64(rows))
	fold(&g.tick, t.Took.Seconds())
}

// fold moves a running mean.
func fold(mean *atomic.Uint64, now float64) {
	if old := math.Float64frombits(mean.Load()); old > 0 {
		now = old + (now-old)/32
	}
	mean.Store(math.Float64bits(now))
}

// Snapshot returns the numbers of now. It never waits for the engine.
func (c *Controller) Snapshot() Snapshot {
	g := &c.gauges
	s := Snapshot{
		Running:            int(g.running.Load()),
		Parked:             int(g.parked.Load()),
		Waiting:            int(c.queued.Load()),
		Draining:           c.draining.Load(),
		Ticks:              uint64(g.ticks.Load()),
		PagesTotal:         c.capacity.Pages,
		LatentsUsed:        int(g.latents.Load()),
		LatentsTotal:       c.capacity.Latents,
		RowsByDepth:        make([]int, len(g.byDepth)),
		Backlog:            g.backlog.Load(),
		SecondsPerLoopStep: math.Float64frombits(g.pace.Load()),
		SecondsPerTick:     math.Float64frombits(g.tick.Load()),
		PrefixQueries:      g.queries.Load(),
		PrefixHits:         g.hits.Load(),
		Audits:             g.audits.Load(),
		Mismatches:         g.mismatches.Load(),
	}
	for st := range numStages {
		s.PagesUsed[st] = int(g.pages[st].Load())
		s.PagesCached[st] = int(g.cached[st].Load())
	}
	for d := range s.RowsByDepth {
		s.RowsByDepth[d] = int(g.byDepth[d].Load())
	}
	return s
}
