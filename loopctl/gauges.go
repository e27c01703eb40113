package loopctl

import (
	"math"
	"sync/atomic"
)

// gauges are what the engine goroutine lets others read. Each is stored only when it changed.
type gauges struct {
	running, ticks, latents atomic.Int64
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
	set(&g.ticks, int64(c.stats.Tick))
	set(&g.latents, int64(c.capacity.Latents-len(c.latents)))
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
