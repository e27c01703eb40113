package loopctl

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// Config bounds what the controller takes on. A zero field means its default, a value beyond what the engine can do is
// lowered to that.
type Config struct {
	// QueueLimit is how many requests may wait; Submit beyond it gives ErrQueueFull. Default 256.
	QueueLimit int
	// MaxRunning is how many sequences run at one time. Default 64; at most Capacity.Latents, since each running
	// sequence owns one latent slot that no other can take (that is why none can be locked out).
	MaxRunning int
	// RowBudget is how many prompt rows a block call may have beside decode rows, so that a long prompt does not
	// stall those who decode. While nobody decodes, the call is filled. A prompt that must not be cut may have more. Default half of
	// Capacity.MaxRows less Beyond.
	RowBudget int
	// ChunkRows is how many prompt rows travel together through the depths. Default RowBudget.
	ChunkRows int
	// WrapRows is how many prompt rows travel together under a KV policy that writes planes more than once (latest,
	// modulo): rows of a chunk see each other at their own depth, so the cut is always the same. At most ChunkRows and
	// a quarter of MaxRows. Default 32. Under those that keep one loop's alone (first, last_loop), whose models were made for prompts in
	// one piece, it is Capacity.Beyond where an engine has that.
	WrapRows int
	// ReserveTokens is how many tokens beyond its prompt a request gets pages for when it is admitted. Those that grow
	// beyond get theirs page by page; when none are left the youngest is preempted. Negative: for all its MaxTokens, so
	// that nobody is preempted but for priority. Default 64.
	ReserveTokens int
	// Scheduling is how depths share calls. The zero value is ScheduleDepth.
	Scheduling Scheduling
	// Elastic says when requests that allow it are given fewer loops.
	Elastic Elastic
	// NoPrefixCache turns the prefix cache off.
	NoPrefixCache bool
	// StreamBuffer is how many events a stream holds before its sequence is parked. Default 64.
	StreamBuffer int
	// CallTimeout is how long a native call may take before it is interrupted. Default 2 minutes.
	CallTimeout time.Duration
	// ParkTime is how long a sequence whose stream is full keeps its pages and its place while nobody else wants them; whoever
	// does gets them at once. Default 10 s.
	ParkTime time.Duration
	// Patience is how long a request that waits for pages lets others pass it that need fewer; then those who passed it are
	// preempted, where that is enough. Default 1 s.
	Patience time.Duration
	// Idle, where set, is called on the engine goroutine whenever it is about to sleep with no request running or
	// waiting, more than once where it was woken for nothing. It must not block, and Snapshot says the same inside it.
	Idle func()
	// Observer is told of ticks and ends; nil means nobody is.
	Observer Observer
	// Logger gets failed calls; nil means slog.Default().
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c Config) withDefaults(l Capacity) Config {
	def := func(v *int, d, most int) {
		if *v <= 0 {
			*v = d
		}
		*v = max(1, min(*v, most))
	}
	const many = 1 << 30
	def(&c.QueueLimit, 256, many)
	latents := l.Latents
	if l.Whole { // the longest prompt finds its latents while all others have theirs
		latents = max(latents-l.MaxRows+1, 1)
	}
	keeps := !l.Whole && l.KV.Keep != kv.KeepAny && l.Beyond > 0
	if keeps {
		latents = max(latents-l.Beyond+1, 1)
	}
	def(&c.MaxRunning, 64, latents)
	def(&c.RowBudget, max(l.MaxRows-l.Beyond, 2)/2, l.MaxRows)
	def(&c.ChunkRows, c.RowBudget, l.MaxRows)
	def(&c.WrapRows, 32, min(c.ChunkRows, c.RowBudget, max(l.MaxRows/4, 1), l.Latents-c.MaxRunning+1))
	if keeps {
		c.WrapRows = l.Beyond
	}
	def(&c.StreamBuffer, 64, many)
	c.ParkTime, c.Patience = cmp.Or(c.ParkTime, 10*time.Second), cmp.Or(c.Patience, time.Second)
	c.ReserveTokens = cmp.Or(c.ReserveTokens, 64)
	c.Elastic = c.Elastic.withDefaults()
	c.Observer, c.Logger = cmp.Or[Observer](c.Observer, nobody{}), cmp.Or(c.Logger, slog.Default())
	if c.CallTimeout <= 0 {
		c.CallTimeout = 2 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

type nobody struct{}

func (nobody) Tick(*TickStats)          {}
func (nobody) Finished(*Request, Event) {}

// Scheduling is how depths share calls.
type Scheduling uint8

const (
	// ScheduleDepth lets rows enter in any tick: rows of all depths share calls, nobody waits for the deepest.
	ScheduleDepth Scheduling = iota
	// ScheduleLockstep lets rows enter only when all have left: a batch waits for its deepest row. It is what other
	// servers do, kept to compare with.
	ScheduleLockstep
)

// String returns the word of the configuration.
func (s Scheduling) String() string { return [...]string{"depth", "lockstep"}[s] }

// Elastic says when requests that allow it are given fewer loops.
type Elastic struct {
	// After is the wait, as the backlog promises it, at which the first step is taken; each further one at twice the
	// wait before. Default 1 s.
	After time.Duration
	// Steps are the fractions of the loops asked for, the first for a short backlog. Default 1, ¾, ½, ¼.
	Steps []float64
}

func (e Elastic) withDefaults() Elastic {
	if e.After <= 0 {
		e.After = time.Second
	}
	if len(e.Steps) == 0 {
		e.Steps = []float64{1, 0.75, 0.5, 0.25}
	}
	return e
}

// step is the fraction for a wait.
func (e *Elastic) step(wait time.Duration) float64 {
	level := 0
	for limit := e.After; wait >= limit && level < len(e.Steps)-1; limit *= 2 {
		level++
	}
	return e.Steps[level]
}
