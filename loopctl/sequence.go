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
	exit   ExitPolicy // with its defaults filled in
	loops  int        // depth at which its rows leave the block at the latest
	draft  int        // depth at which the next token is guessed; 0: never
	owed   int64      // loop-steps still in the backlog for it

	tokens []int32 // prompt and completion, with room for all; behind known ones the guesses
	known  int     // tokens that are no guesses
	fed    int     // tokens that entered the prelude
	chunks []*chunk
	slots  int // latents held

	depths  []uint16 // by position: loops that the row did; 0: not known. Kept where rows may differ
	varies  bool     // rows may leave at different depths
	ordered bool     // rows go through the coda in order of position
	wraps   bool     // planes are written more than once: prompts go chunk after chunk
	probe   probe
	guess   Forking // samples guesses, as far ahead as there are; nil without any
	scored  int     // positions that the Scorer has seen
	pooled  int     // positions that OnLatent has seen

	holding kv.Holding // its pages

	running bool
	ended   bool
	ready   bool // this tick: can run
	served  bool // this tick: has rows in the block call
	held    bool // this tick: no row may enter, its reader is behind
}

// chunk is a run of rows that travel together: part of a prompt, or the one row that decodes. Chunks of a sequence are
// kept in order of position, and each is at a lower depth than the one before it, or at the same one and in the same
// calls: it finds in every plane the K and V that it must see. That is the wavefront.
type chunk struct {
	seq    *sequence
	first  int        // position of the first row
	slots  []int32    // one latent each
	states []rowState // one each, where the exit policy counts
	depth  int        // loops done
	decode bool       // one row, after the first token
	left   bool       // out of the loop, on its way through the coda
	probed bool       // this tick: its logits are only looked at
	chosen uint64     // the tick for which it was chosen last
}

// rowState is what an exit policy keeps of a row.
type rowState struct {
	cdf, rest float64 // of the gate: probability to have stopped, and not to have
	agree     int     // loops in a row that passed the threshold
}

func (k *chunk) rows() int { return len(k.slots) }
func (k *chunk) end() int  { return k.first + len(k.slots) }

// needsLogits says whether the chunk holds the newest known token, which the next one is sampled after.
func (k *chunk) needsLogits() bool { return k.end() == k.seq.known }

// scores says whether logits of all the chunk's rows are wanted.
func (k *chunk) scores() bool { return k.seq.req.Scorer != nil && k.first < len(k.seq.req.Prompt) }

func (c *Controller) newSequence(r *Request) *sequence {
	s := &sequence{req: r, loops: r.loopsIn(&c.capacity), stream: newStream(c.cfg.StreamBuffer, c.nudge)}
	if r.Arrived.IsZero() {
		r.Arrived = c.cfg.Now()
	}
	s.exit = r.Exit.withDefaults(c.capacity.Loops)
	s.draft = r.Draft
	s.known = len(r.Prompt)
	s.varies = s.exit.Kind != ExitNone || len(r.Replay) > 0
	s.ordered = c.capacity.Pages[StageCoda] > 0 || r.Scorer != nil || r.OnLatent != nil
	s.stats = Stats{Arrived: r.Arrived, PromptTokens: len(r.Prompt)}
	s.holding = kv.Holding{Loops: s.loops, Rows: r.rows(), Fresh: r.Scorer != nil || r.OnLatent != nil}
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
func (s *sequence) decoding() bool { return s.known > len(s.req.Prompt) && s.fed >= s.known-1 }

// unfed is how many tokens wait to enter the prelude.
func (s *sequence) unfed() int { return len(s.tokens) - s.fed }

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
	if position < len(s.depths) && s.depths[position] > 0 {
		return int(s.depths[position]), true
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
	if !s.varies {
		return
	}
	for len(s.depths) <= position {
		s.depths = append(s.depths, 0)
	}
	s.depths[position] = uint16(depth)
}
