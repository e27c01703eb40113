package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// Shape is one point's place in a sweep.
type Shape struct {
	Loops int `json:"loops"` // 0: the server's default
	Load
}

// Load is how many clients ask at one time, and for what.
type Load struct {
	Concurrency  int `json:"concurrency"`
	PromptTokens int `json:"prompt_tokens"`
	MaxTokens    int `json:"max_tokens"`
}

// A measurement lasts long enough to be one: a point's runs take LeastTime together, and go on up to MostTime while the
// median latency is not known to within Narrow of itself. Points that take longer by themselves have their runs and no more.
const (
	LeastTime = 300 * time.Millisecond
	MostTime  = time.Second
	Narrow    = 0.02
)

// Plan is a sweep over every combination of its lists.
type Plan struct {
	Loops        []int
	Concurrency  []int
	PromptTokens []int
	MaxTokens    []int
	Runs         int // measured runs of each point, at least
	WarmUp       int // unmeasured ones before them
	// Least is how long a point's runs take together, at least: a run sends its requests again and again until it has had its
	// share. Most is how long runs are added for while the point's interval is wide. 0: each run sends its requests once.
	Least, Most time.Duration
	Seed        uint64
	Vocab       int                // prompts' ids are below it
	Exit        loopctl.ExitPolicy // of every request; loops is its cap
	Draft       int                // of every request; below every loop count
	// Progress is told after each run; done counts warm-ups, too, and total grows with runs that are added. It is called by
	// the goroutine of Sweep.
	Progress func(done, total int, now Shape)
}

// Shapes are the points, loops changing fastest.
func (p *Plan) Shapes() []Shape {
	var out []Shape
	for _, tokens := range p.MaxTokens {
		for _, prompt := range p.PromptTokens {
			for _, c := range p.Concurrency {
				for _, l := range p.Loops {
					out = append(out, Shape{l, Load{c, prompt, tokens}})
				}
			}
		}
	}
	return out
}

// Check refuses a plan that cannot run. It names what is wrong as the wire spells it.
func (p *Plan) Check() error {
	return errors.Join(
		atLeast(0, "loops", p.Loops...), atLeast(1, "concurrency", p.Concurrency...), atLeast(1, "prompt_tokens", p.PromptTokens...),
		atLeast(1, "max_tokens", p.MaxTokens...), atLeast(1, "runs", p.Runs), atLeast(0, "warmup", p.WarmUp),
	)
}

// atLeast refuses a number below the least, and a list of none.
func atLeast(least int, name string, values ...int) error {
	if len(values) == 0 || slices.Min(values) < least {
		return fmt.Errorf("%s is %s: must be at least %d", name, strings.Trim(fmt.Sprint(values), "[]"), least)
	}
	return nil
}

// requests makes a benchmark's requests. No two have the same prompt, which a prefix cache could answer.
type requests struct {
	vocab int
	exit  loopctl.ExitPolicy
	draft int
	seed  uint64
}

// next is another request of a shape. Its answer has all of its tokens, whatever the model would say.
func (q *requests) next(s Shape) *Ask {
	q.seed++
	return &Ask{
		Depth: Depth{Loops: s.Loops, Exit: q.exit, Draft: q.draft}, IDs: prompt(q.seed, s.PromptTokens, q.vocab),
		MaxTokens: s.MaxTokens, IgnoreEOS: true, Stream: true, Seed: int64(q.seed & 0x7fffffff),
	}
}

// burst sends a shape's requests all at once and waits for the last.
func (q *requests) burst(ctx context.Context, c Client, s Shape) (replies []*Reply, err error) {
	asks := make([]*Ask, s.Concurrency) // made before any is sent: long prompts take time
	for i := range asks {
		asks[i] = q.next(s)
	}
	err = drive(ctx, c, s.Concurrency, func(client, had int) (*Ask, func(*Reply)) {
		if had > 0 {
			return nil, nil
		}
		return asks[client], func(r *Reply) { replies = append(replies, r) }
	})
	return replies, err
}

// prompt draws ids. Small ones are left out where there are others, since special tokens live there.
func prompt(seed uint64, tokens, vocab int) []int32 {
	r := rand.New(rand.NewPCG(seed, 0x62656e6368))
	low := 0
	if vocab > 512 {
		low = 256
	}
	out := make([]int32, tokens)
	for i := range out {
		out[i] = int32(low + r.IntN(max(vocab-low, 1)))
	}
	return out
}
