package loopctl

import (
	"time"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// engineState is what the engine goroutine alone touches. Its slices are used again every tick: a tick that only decodes
// allocates nothing.
type engineState struct {
	memory  *kv.Memory // which sequence holds which page
	latents slots      // which latent slots are free
	queue              // which sequences wait and which run
	plan               // what runs in this tick
	buffers            // of the native call that is being made

	turns   uint64           // ticks tried
	audited uint64           // turns at the last audit
	began   time.Time        // this tick
	stats   TickStats        // this tick
	costs   [numStages]line  // measured
	byRows  [numStages]table // the same, by rows
	chances chances          // of guesses
}

// queue is the sequences that have not ended.
type queue struct {
	arrivals uint64
	clients  map[string]*client
	waiting  []*sequence // next says who is the first
	victims  []*sequence // for givingWay
	running  []*sequence // those served longest ago come first, once there is not room for all
	ended    int         // of running, those that forget must remove
	served   []*sequence // for rotate
	// promptStarvedTicks is for how many ticks in a row decode rows have left no room for prompts.
	promptStarvedTicks int
}

// plan is what one tick does.
type plan struct {
	entering []*chunk    // rows of the prelude call
	looping  []*chunk    // rows of the block call: those that enter, and those that have looped before
	leaving  []*chunk    // rows that left the loop and are in the coda call
	probes   []*chunk    // rows in the coda call that are only looked at
	visits   []*chunk    // all of the coda call
	going    []bool      // which rows of a chunk leave
	filled   []*sequence // whose rows are to be copied

	phases []int // for align

	open    bool // rows may enter
	blocked bool // no prompt may enter any more

	spare, retired []*chunk // to be used again; retired in this tick: from the next on
}

// buffers are those of one native call.
type buffers struct {
	batch    Batch
	info     RowInfo     // the engine's, good until the next block call
	logits   [][]float32 // the engine's, good until the next coda call
	identity []int32     // 0, 1, 2 …: LogitRows are slices of it
	latent   []float32   // for OnLatent
}

func newEngineState(l Capacity, cfg Config) engineState {
	g := l.geometry()
	g.Ahead, g.NoSharing = cfg.ReserveTokens, cfg.NoPrefixCache
	e := engineState{memory: kv.New(*g), latents: newSlots(l.Latents)}
	e.latent = make([]float32, l.Hidden)
	e.clients = map[string]*client{}
	e.chances.odds, e.chances.credit = map[wager]odds{}, mostWrong
	e.running = make([]*sequence, 0, cfg.MaxRunning)
	e.identity = make([]int32, l.MaxRows)
	for i := range e.identity {
		e.identity[i] = int32(i)
	}
	e.stats.ByDepth = make([]int, max(l.Loops.Max, 1))
	e.stats.Exits = make([][]int, numExits)
	for i := range e.stats.Exits {
		e.stats.Exits[i] = make([]int, max(l.Loops.Max, 1)+1)
	}
	return e
}

// slots hands out the latent slots. Each running sequence without any may take one at any time, so the others leave as
// many free: that is why no sequence can be locked out by another's chunks.
type slots struct {
	free          []int32
	withoutLatent int // running sequences that hold none
}

func newSlots(n int) slots {
	l := slots{free: make([]int32, n)}
	for i := range l.free {
		l.free[i] = int32(n - 1 - i)
	}
	return l
}

// fits says whether one more sequence may run.
func (l *slots) fits() bool { return len(l.free) > l.withoutLatent }

// spare is how many slots a sequence that holds some already may take and leave one for each that holds none.
func (l *slots) spare(held int) int {
	n := len(l.free) - l.withoutLatent
	if held == 0 {
		n++
	}
	return n
}

// take appends n slots to those of a chunk. held is how many its sequence had before.
func (l *slots) take(to []int32, n, held int) []int32 {
	if held == 0 {
		l.withoutLatent--
	}
	rest := len(l.free) - n
	to = append(to, l.free[rest:]...)
	l.free = l.free[:rest]
	return to
}

// give frees slots. held is how many their sequence has left.
func (l *slots) give(ids []int32, held int) {
	l.free = append(l.free, ids...)
	if held == 0 {
		l.withoutLatent++
	}
}
