package loopctl

import (
	"context"
	"slices"
	"time"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// sequence is what the engine advances for one request. Until it is queued its Submit owns it, afterwards the engine
// goroutine does.
type sequence struct {
	req    *Request
	stream *Stream
	stop   func() bool // ends the watch over the request's context
	timer  *time.Timer // wakes the engine goroutine at the deadline; nil without one
	stats  Stats
	serial uint64     // order of arrival
	client *client    // once it has arrived
	exit   ExitPolicy // with its defaults filled in
	loops  int        // depth at which its rows leave the block at the latest
	draft  int        // depth at which the next token is guessed; 0: never
	ahead  int        // guesses at one time, at most
	auto   bool       // both are the controller's to choose
	owed   int64      // loop-steps still in the backlog for it

	tokens   []int32 // prompt and completion, with room for all; behind known ones the guesses
	known    int     // tokens that are no guesses
	computed int     // leading tokens whose rows entered the prelude, or are in the prefix cache
	chunks   []*chunk
	latents  int // held

	depths  []uint16 // by position: loops that the row did; 0: not known. Kept of the prompt, and where rows may differ
	reached int      // rows that have entered the engine, before a preemption or after
	varies  bool     // rows may leave at different depths
	ordered bool     // rows go through the coda in order of position
	wraps   bool     // planes are written more than once: prompts go chunk after chunk
	probe   probe
	guessed []int     // loops after which each guess was made
	guess   Forking   // samples guesses, as far ahead as there are; nil without any
	scored  int       // positions that the Scorer has seen
	shown   int       // positions that OnLatent has seen
	told    time.Time // of the newest token

	holding kv.Holding // its pages

	running bool
	ended   bool
	ready   bool   // this tick: can run
	served  bool   // this tick: has rows in the block call
	held    bool   // this tick: no row may enter, its reader is behind
	aside   bool   // this tick: its next token waits for others of its loops
	cohort  uint64 // the tick in which that was decided last
	waited  int    // ticks that its tokens have waited so

	parked  time.Time // since when its reader is behind
	asleep  bool      // waiting: for its reader, not for a place
	blocked time.Time // waiting: since when it finds no pages
	refused uint64    // waiting: the tick in which it found none last
	passed  bool      // running: admitted while one before it waited for pages
}

func (c *Controller) newSequence(r *Request) *sequence {
	s := &sequence{req: r, loops: r.loopsIn(&c.capacity), stream: newStream(c.cfg.StreamBuffer, c.nudge)}
	if r.Arrived.IsZero() {
		r.Arrived = c.cfg.Now()
	}
	s.exit = r.Exit.withDefaults(c.capacity.Loops)
	s.draft, s.ahead = max(r.Draft, 0), r.rows()
	s.auto = r.Draft == DraftAuto && c.mayGuess(r)
	s.known = len(r.Prompt)
	s.varies = s.exit.Kind != ExitNone || len(r.Replay) > 0
	s.ordered = c.capacity.Pages[StageCoda] > 0 || r.Scorer != nil || r.OnLatent != nil
	s.stats = Stats{Arrived: r.Arrived, PromptTokens: len(r.Prompt)}
	s.holding = kv.Holding{Loops: s.loops, Rows: r.rows(), Call: r.largestCall(&c.capacity), Fresh: r.Scorer != nil || r.OnLatent != nil}
	s.owed = int64(r.rows()) * int64(s.loops)
	return s
}

// watch turns the end of the request's context into a cancellation of the stream, and its deadline into a wake-up.
func (c *Controller) watch(s *sequence) {
	s.stop = func() bool { return true }
	if ctx := s.req.Context; ctx != nil {
		s.stop = context.AfterFunc(ctx, s.stream.Cancel)
	}
	if d := s.req.Deadline; !d.IsZero() {
		s.timer = time.AfterFunc(d.Sub(c.cfg.Now())+time.Millisecond, c.nudge)
	}
}

// decoding says that all rows but the newest are computed or on their way: what enters is one row, and goes first.
func (s *sequence) decoding() bool { return s.known > len(s.req.Prompt) && s.computed >= s.known-1 }

// uncomputed is how many tokens wait to enter the prelude.
func (s *sequence) uncomputed() int { return len(s.tokens) - s.computed }

// stops says whether the sequence ends with this token.
func (s *sequence) stops(id int32) FinishReason {
	switch {
	case slices.Contains(s.req.StopIDs, id):
		return FinishStop
	case s.stats.CompletionTokens >= s.req.MaxTokens:
		return FinishLength
	}
	return FinishNone
}

// target is the depth at which the row at a position leaves whatever its policy says, and whether it was fixed
// beforehand: by a replay, or by what the row did before its sequence was preempted.
func (s *sequence) target(position int) (depth int, fixed bool) {
	if n := s.loopsAt(position); n > 0 {
		return n, true
	}
	if n := len(s.req.Replay); n > 0 {
		token := position - len(s.req.Prompt) + 1 // the generated token that this row decides
		if token < 0 {
			return s.loops, true
		}
		return s.req.Replay[min(token, n-1)], true
	}
	return s.loops, s.exit.Kind == ExitNone
}

// note writes down the loops of a row that left.
func (s *sequence) note(position, depth int) {
	for len(s.depths) <= position {
		s.depths = append(s.depths, 0)
	}
	s.depths[position] = uint16(depth)
}

// A sequence's account is its Stats: usage, timings and metrics are all taken from it. It tells of what the answer holds,
// so each row counts once, when it first leaves the loop. Rows that are computed again after a preemption, and guesses
// that were wrong, are counted apart.

// enters counts the next n rows of s that go to the engine.
func (s *sequence) enters(n int) {
	s.stats.Recomputed += max(min(s.reached-s.computed, n), 0)
	s.reached = max(s.reached, s.computed+n)
}

// leaves counts a row that leaves the loop after so many loops.
func (s *sequence) leaves(position, depth int) {
	if position < len(s.req.Prompt) && s.loopsAt(position) == 0 {
		s.stats.PromptRows++
		s.stats.PromptLoops += depth
		s.note(position, depth)
	} else if s.varies {
		s.note(position, depth)
	}
}

// loopsAt is how many loops the row at a position did; 0 where that is not known.
func (s *sequence) loopsAt(position int) int {
	if position < len(s.depths) {
		return int(s.depths[position])
	}
	return 0
}

// settle closes the account of a sequence that has its whole answer. Rows of the prompt that still loop, since the last one
// left before them, count with the loops that were theirs to do, so that the account does not depend on how far they came
// beside others; where that is not known, with those that they have done.
func (s *sequence) settle() {
	for _, k := range s.chunks {
		for i := range k.rows() {
			depth := k.depth
			if !s.exit.free() {
				depth, _ = s.target(k.first + i)
			}
			if k.first+i < len(s.req.Prompt) {
				s.leaves(k.first+i, depth)
			}
		}
	}
	s.stats.CachedTokens = s.stats.PromptTokens - s.stats.PromptRows
}
