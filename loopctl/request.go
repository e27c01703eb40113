package loopctl

import (
	"context"
	"time"
)

// Picked is a token that a Picker chose.
type Picked struct {
	ID      int32
	Logprob float32        // log-probability under the model's own distribution; NaN where it was not asked for
	Top     []TokenLogprob // the most likely tokens, best first; nil where not asked for
}

// TokenLogprob is one alternative of a position.
type TokenLogprob struct {
	ID      int32
	Logprob float32
}

// Picker turns logits into a token. Each sequence has its own, which may keep state (a random source, penalties);
// it is called on the controller's goroutine, once for each generated token, and must not keep logits.
type Picker interface {
	Pick(logits []float32) Picked
}

// Forker is a Picker that can be copied, its state with it: a copy picks what the original would pick. A Draft guesses
// with a copy.
type Forker interface {
	Picker
	Fork() Forker
}

// Scorer is told the logits of prompt rows: those after the token at position, which predict the next one. Positions
// come in order, once each, on the controller's goroutine; logits must not be kept.
type Scorer interface {
	Score(position int, logits []float32)
}

// Request is what a client asks for. Submit checks it and takes it over: it must not be changed afterwards.
type Request struct {
	// Context cancels the request: its pages are free in the same tick. Nil means never.
	Context context.Context //nolint:containedctx // the queued request is the one place where a context may live
	// ID stands in logs and traces.
	ID string
	// Prompt holds at least one token id, each inside the vocabulary.
	Prompt []int32
	// MaxTokens is how many tokens to generate at most; prompt and completion must fit the context. 0 is allowed with a
	// Scorer or a Pool: the prompt is run, nothing is generated, and the one event is FinishLength with Token.ID −1.
	MaxTokens int
	// Loops is how many times the block is applied to each token, or the most that Exit allows; 0 means the model's
	// default.
	Loops int
	// Exit lets a row leave before Loops. The zero value never does.
	Exit ExitPolicy
	// Replay gives the loops of each generated token, in order, instead of Exit: an earlier answer's depths, run again.
	// Where it ends, the last entry holds. Each is in the model's range; nil means none.
	Replay []int
	// Elastic lets the controller lower Loops, never below Exit.MinLoops (or the model's least), when the backlog is
	// long (Config.Elastic) or where TargetITL asks for it. Stats.LoopsGranted says what it was.
	Elastic bool
	// TargetITL, where positive, is the time between tokens that Elastic aims at, from the measured time of a loop.
	TargetITL time.Duration
	// Draft, where positive, guesses each token after that many loops and lets the guess start while its predecessor
	// still loops. The answer is the same as without, token for token: a guess that was wrong is taken back.
	// It must be below Loops; it holds for a fixed depth only.
	Draft int
	// Priority orders waiting requests, lower first (as in vLLM); equal ones by arrival. A waiting request may preempt
	// running ones of a higher number.
	Priority int
	// Deadline, where set, ends the request with ErrDeadline when it has not ended by then.
	Deadline time.Time
	// CacheSalt separates prefix caches: only requests of equal salt share pages. NoCache keeps the request from them.
	CacheSalt string
	NoCache   bool
	// Scorer, where set, sees the logits after each prompt token but the last, whose logits go to Picker.
	Scorer Scorer
	// Lens, where positive, reports for each generated token what each of its loops would have said, with the Lens most
	// likely tokens. It costs a coda call per loop.
	Lens int
	// Pool, where set, is given the latent of each prompt row as it leaves the loop, on the controller's goroutine. It
	// must not keep it. The engine must be a LatentReader.
	Pool func(position int, latent []float32)
	// Timeline asks for Stats.Timeline.
	Timeline bool
	// Seed decides a random initial state, where the model has one.
	Seed uint64
	// Picker chooses the tokens. For Draft it must be a Forker, too.
	Picker Picker
	// StopIDs end the sequence. The stopping id is reported, with FinishStop.
	StopIDs []int32
	// Arrived is when the request came in, for queue and first-token times; Submit sets it where it is zero.
	Arrived time.Time
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
	Token Picked
	Loops int // loops done for this token
	// Lens has one entry for each loop of this token, where Request.Lens asked for it.
	Lens   []LoopView
	Finish FinishReason
	Err    error
	Stats  *Stats // on the last event
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
	PromptLoops      int // loops over all prompt rows, those of cached rows not counted
	CachedTokens     int // prompt tokens whose pages came from the prefix cache
	Preemptions      int
	Drafted          int // tokens guessed
	Accepted         int // guesses that were right

	Timeline []Stretch // of the tokens after the first one, where Request.Timeline asked for it
}
