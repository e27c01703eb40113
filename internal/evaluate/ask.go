package evaluate

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// Setting is a depth at which problems are asked.
type Setting struct {
	Loops int // of each token; the most, under a policy
	Exit  loopctl.ExitPolicy
	Draft int
}

// Name is the setting as tables have it.
func (s Setting) Name() string {
	switch {
	case s.Draft > 0:
		return fmt.Sprintf("%d, draft %d", s.Loops, s.Draft)
	case s.Exit.Kind != loopctl.ExitNone:
		return s.Exit.Kind.String() + " " + strconv.FormatFloat(s.Exit.Threshold, 'g', -1, 64)
	}
	return strconv.Itoa(s.Loops)
}

// Answer is what came back.
type Answer struct {
	Text     string // without white space around it
	Tokens   int
	Loops    int // of all tokens, summed
	TTFT     time.Duration
	Time     time.Duration // from sending to the whole answer
	Drafted  int
	Accepted int
}

// Likelihood is how likely a model finds an answer.
type Likelihood struct {
	Logprob float64 // of the whole answer, in nats
	Tokens  int
	Greedy  bool // each token was the most likely one
}

// Asker answers problems greedily. It is called from many goroutines at one time.
type Asker interface {
	Ask(ctx context.Context, s Setting, p Problem, maxTokens int) (Answer, error)
}

// Scorer tells how likely it finds the answers that problems have.
type Scorer interface {
	Score(ctx context.Context, s Setting, p Problem) (Likelihood, error)
}
