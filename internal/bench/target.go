package bench

import (
	"context"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// Call is one request of a benchmark. Its answer is MaxTokens tokens, whatever the model would say: end-of-sequence is
// ignored.
type Call struct {
	Loops        int // 0: the server's default
	PromptTokens int
	MaxTokens    int
	Exit         loopctl.ExitPolicy
	Draft        int
	Seed         uint64 // decides the prompt: different prompts share no prefix cache
}

// Sample is what one request's client saw.
type Sample struct {
	Start time.Time
	// Arrivals are the times since Start at which tokens came, one entry for each piece of the answer. A server may send
	// several tokens in a piece.
	Arrivals []time.Duration
	// First is when the first token was there by the engine's own clock; 0 where only its arrival is known.
	First    time.Duration
	E2E      time.Duration // Start to the end of the answer
	Tokens   int
	Loops    int // of all tokens, summed
	Drafted  int
	Accepted int
}

// TTFT is the time to the first token.
func (s *Sample) TTFT() time.Duration {
	switch {
	case s.First > 0:
		return s.First
	case len(s.Arrivals) == 0:
		return s.E2E
	}
	return s.Arrivals[0]
}

// TPOT is the mean time of a token after the first, as vLLM defines it: (E2E − TTFT)/(tokens − 1). It is false where
// there was but one.
func (s *Sample) TPOT() (time.Duration, bool) {
	if s.Tokens < 2 {
		return 0, false
	}
	return (s.E2E - s.TTFT()) / time.Duration(s.Tokens-1), true
}

// Target answers requests. It is called from many goroutines at one time.
type Target interface {
	Generate(ctx context.Context, c Call) (*Sample, error)
}

// Meter sees the engine's block calls; a Target may be one.
type Meter interface {
	// Blocks counts since some time before; false says that nobody counts.
	Blocks() (Blocks, bool)
}

// Blocks are sums over block calls.
type Blocks struct {
	Calls    int64
	Rows     int64
	Runnable int64 // rows that could have been in the calls, had they had room for all
	Took     time.Duration
}

func (b Blocks) minus(o Blocks) Blocks {
	return Blocks{b.Calls - o.Calls, b.Rows - o.Rows, b.Runnable - o.Runnable, b.Took - o.Took}
}

func (b Blocks) plus(o Blocks) Blocks {
	return Blocks{b.Calls + o.Calls, b.Rows + o.Rows, b.Runnable + o.Runnable, b.Took + o.Took}
}

// blocksOf asks a target that may be a Meter.
func blocksOf(t Target) Blocks {
	if m, ok := t.(Meter); ok {
		b, _ := m.Blocks()
		return b
	}
	return Blocks{}
}
