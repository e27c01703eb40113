package loopctl

import (
	"context"
	"slices"
)

// sequence is what the engine advances for one request. Until it is queued its Submit owns it, afterwards the engine
// goroutine does.
type sequence struct {
	req    *Request
	stream *Stream
	stop   func() bool // ends the watch over the request's context
	stats  Stats
	loops  int   // depth at which its rows leave the block
	owed   int64 // loop-steps still in the backlog for it

	tokens []int32 // prompt and completion, with room for all
	fed    int     // tokens that entered the prelude
	chunks []*chunk
	slots  int // latents held
	tables [numStages]pageTable

	running bool
	ended   bool
	ready   bool // this tick: can run
	served  bool // this tick: has rows in the block call
}

// chunk is a run of rows that travel together: part of a prompt, or the one row that decodes. Chunks of a sequence are
// kept in order of position, and each is at a lower depth than the one before it: it finds there, in every plane, the
// K and V that it must see. That is the wavefront.
type chunk struct {
	seq   *sequence
	first int     // position of the first row
	slots []int32 // one latent each
	depth int     // loops done
}

func (k *chunk) rows() int { return len(k.slots) }
func (k *chunk) end() int  { return k.first + len(k.slots) }

// needsLogits says whether the chunk holds the newest token, which the next one is sampled after.
func (k *chunk) needsLogits() bool { return k.end() == len(k.seq.tokens) }

func (c *Controller) newSequence(r *Request) *sequence {
	s := &sequence{req: r, loops: c.loopsOf(r), stream: newStream(c.cfg.StreamBuffer, c.nudge)}
	if r.Arrived.IsZero() {
		r.Arrived = c.cfg.Now()
	}
	s.stats = Stats{Arrived: r.Arrived, PromptTokens: len(r.Prompt)}
	s.owed = int64(len(r.Prompt)+r.MaxTokens-1) * int64(s.loops)
	return s
}

// watch turns the end of the request's context into a cancellation of the stream.
func (s *sequence) watch() {
	s.stop = func() bool { return true }
	if ctx := s.req.Context; ctx != nil {
		s.stop = context.AfterFunc(ctx, s.stream.Cancel)
	}
}

// decoding says that the first token is out: what enters from now on is one row at a time, and goes first.
func (s *sequence) decoding() bool { return len(s.tokens) > len(s.req.Prompt) }

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
