package loopctl

import "time"

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

// TickStats tells of one tick.
type TickStats struct {
	Tick     uint64
	Calls    [numStages]CallStats // indexed by Stage
	ByDepth  []int                // rows of the block call by the loops that they had done before it
	Runnable int                  // rows that could have been in the block call had it had room for all
	Prefill  int                  // rows of the block call that belong to prompts
	Tokens   int                  // tokens sampled
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

// Snapshot is what the controller holds at about one moment: its numbers are read one by one while the engine goes on.
type Snapshot struct {
	Running, Waiting int
	Draining         bool
	Ticks            uint64
	PagesUsed        [numStages]int // pages promised to running sequences, in use or not yet
	PagesCached      [numStages]int // pages that only the prefix cache holds: free, if somebody needs them
	PrefixQueries    int64          // tokens of admitted requests that could have been in the prefix cache
	PrefixHits       int64          // tokens that were
	Audits           int64          // times that the books were proved while nobody ran
	Mismatches       int64          // times that they did not add up
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
