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

// Request is what a client asks for. Submit checks it and takes it over: it must not be changed afterwards.
type Request struct {
	// Context cancels the request: its pages are free in the same tick. Nil means never.
	Context context.Context //nolint:containedctx // the queued request is the one place where a context may live
	// ID stands in logs and traces.
	ID string
	// Prompt holds at least one token id, each inside the vocabulary.
	Prompt []int32
	// MaxTokens is how many tokens to generate at most, at least 1; prompt and completion must fit the context.
	MaxTokens int
	// Loops is how many times the block is applied to each token; 0 means the model's default.
	Loops int
	// Seed decides a random initial state, where the model has one.
	Seed uint64
	// Picker chooses the tokens.
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
	Token  Picked
	Loops  int // loops done for this token
	Finish FinishReason
	Err    error
	Stats  *Stats // on the last event
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
	PromptLoops      int // loops over all prompt rows
	Preemptions      int
}
