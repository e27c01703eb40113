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
	Running  int                  // sequences running when the tick ended
	Waiting  int                  // requests waiting when the tick ended
	Parked   int                  // sequences that waited for their reader
	Took     time.Duration        // the whole tick
}

// Snapshot is what the controller holds at about one moment: its numbers are read one by one while the engine goes on.
type Snapshot struct {
	Running, Waiting int
	Draining         bool
	Ticks            uint64
	PagesUsed        [numStages]int // pages promised to running sequences, in use or not yet
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
