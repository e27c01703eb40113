package loopctl

import (
	"cmp"
	"context"
	"math/bits"
	"time"
)

// Sampled is a token that a Sampler chose.
type Sampled struct {
	ID      int32
	Logprob float32        // log-probability under the model's own distribution; NaN where it was not asked for
	Top     []TokenLogprob // the most likely tokens, best first; nil where not asked for
}

// TokenLogprob is one alternative of a position.
type TokenLogprob struct {
	ID      int32
	Logprob float32
}

// FinishReason says why a sequence ended.
type FinishReason uint8

// The reasons. FinishNone stands on every token but the last.
const (
	FinishNone      FinishReason = iota
	FinishStop                   // a stop id was chosen
	FinishLength                 // MaxTokens or the context is reached
	FinishCancelled              // the client's context ended
	FinishError                  // Event.Err says why
)

// String returns the reason as metrics label it.
func (f FinishReason) String() string {
	return [...]string{"none", "stop", "length", "cancelled", "error"}[f]
}

// Event is one generated token, or the end of the sequence. The event with Finish other than FinishNone is the last
// one; with FinishStop and FinishLength it carries the last token, with the others none (Token.ID is −1).
type Event struct {
	Token Sampled
	At    time.Time // when the engine had it: a reader that takes several events at once sees the times between them
	Loops int       // loops done for this token
	// Lens has one entry for each loop of this token, where Request.Lens asked for it.
	Lens   []LoopView
	Finish FinishReason
	Err    error
	Stats  *Stats // on the last event
}

// Failure is why a sequence whose request has the context could not go on; nil where it goes on, or ended with its last token.
func (e *Event) Failure(ctx context.Context) error {
	switch e.Finish {
	case FinishError:
		return cmp.Or(e.Err, ErrEngine)
	case FinishCancelled:
		return cmp.Or(context.Cause(ctx), context.Canceled)
	}
	return nil
}

// LoopView is what a token would have been after one of its loops.
type LoopView struct {
	Loop    int            // 1 is the first
	Top     []TokenLogprob // the most likely tokens, best first
	Entropy float32        // of the whole distribution, in nats
	Delta   float32        // the latent's relative change in this loop; NaN where the model does not emit it
	Gate    float32        // the gate's logit; NaN where the model has none
}

// Stats are a sequence's times and counts, complete when it ends.
type Stats struct {
	Arrived    time.Time
	Scheduled  time.Time // first row in a prelude call
	FirstToken time.Time
	Finished   time.Time

	PromptTokens     int
	CompletionTokens int
	LoopsTotal       int // loops of the completion's tokens, summed; the first token's are the last prompt row's
	LoopsMax         int
	LoopsSaved       int // loops under the cap that an exit policy did not run
	LoopsGranted     int // the cap that applied: Request.Loops, or what Elastic made of it
	PromptRows       int // rows of the prompt that were computed: all but the cached ones
	PromptLoops      int // loops over them, those of the last one too, which decide the first token
	CachedTokens     int // prompt tokens whose pages came from the prefix cache
	Preemptions      int
	Recomputed       int // rows computed again after a preemption; nowhere else counted
	Drafted          int // tokens guessed
	Accepted         int // guesses that were right

	Timeline []Stretch // of the tokens after the first one, where Request.Timeline asked for it
}

// mostStretches bounds a timeline: an adaptive depth may change range with each token of a long answer.
const mostStretches = 64

// Stretch is a run of successive tokens whose loops are of one range: 1, 2, 3 to 4, 5 to 8, 9 to 16, and so on.
type Stretch struct {
	Start, End time.Time // from the token before the first one to the last one
	Tokens     int
	Loops      int // of all its tokens
	Least      int // loops of a token, at least and
	Most       int // at most
}

// extend adds a token after the first one. Beyond mostStretches the last stretch takes all, of whatever range.
func (s *Stats) extend(loops int, now time.Time) {
	n, before := len(s.Timeline), s.FirstToken
	if n > 0 {
		before = s.Timeline[n-1].End
	}
	if n == 0 || n < mostStretches && loopRange(s.Timeline[n-1].Least) != loopRange(loops) {
		s.Timeline = append(s.Timeline, Stretch{Start: before, Least: loops, Most: loops})
		n++
	}
	last := &s.Timeline[n-1]
	last.End = now
	last.Tokens++
	last.Loops += loops
	last.Least, last.Most = min(last.Least, loops), max(last.Most, loops)
}

// loopRange numbers the ranges, each up to twice the one before.
func loopRange(loops int) int { return bits.Len(uint(max(loops, 1) - 1)) }
