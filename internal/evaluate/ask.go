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

// Thresholds are what each policy is tried at where none is given: from the cautious to the hasty.
var Thresholds = map[loopctl.ExitKind][]float64{
	loopctl.ExitDelta:   {0.03, 0.1, 0.15, 0.2, 0.25, 0.3},
	loopctl.ExitGate:    {0.99, 0.9, 0.7, 0.5, 0.3},
	loopctl.ExitKL:      {1e-5, 1e-4, 1e-3, 1e-2, 1e-1},
	loopctl.ExitEntropy: {1e-5, 1e-4, 1e-3, 1e-2, 1e-1},
	loopctl.ExitArgmax:  {4, 3, 2, 1},
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
