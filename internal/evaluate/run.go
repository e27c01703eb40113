package evaluate

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Options say what to ask.
type Options struct {
	Settings    []Setting
	Concurrency int  // problems asked at one time while counting; default 16
	Timed       int  // problems asked one after another for latencies; default 50, none if negative
	MaxTokens   int  // default: the longest answer's bytes + 4
	Likelihood  bool // score the answers' log-likelihood instead of generating; the Asker must be a Scorer
	Progress    func(done, total int)
}

// Point is the result at one setting.
type Point struct {
	Setting Setting
	Group           // of all problems
	Groups  []Group // in order of first appearance
	// TTFT, E2E and PerToken are medians over the timed problems, each alone on the server: to the first token, to the
	// last, and E2E divided by the answer's tokens. Zero where none was timed.
	TTFT, E2E, PerToken time.Duration
}

// Group counts the problems of one difficulty.
type Group struct {
	Name           string
	Correct, Total int
	Tokens, Loops  int     // of all answers; none where likelihood was scored
	Logprob        float64 // summed over answers, where likelihood was scored
	Scored         int     // tokens of that
}

// Accuracy is in percent.
func (g Group) Accuracy() float64 { return 100 * float64(g.Correct) / float64(max(g.Total, 1)) }

// MeanLoops is per token.
func (g Group) MeanLoops() float64 { return float64(g.Loops) / float64(max(g.Tokens, 1)) }

// NatsPerToken is the mean negative log-likelihood of an answer's token.
func (g Group) NatsPerToken() float64 { return -g.Logprob / float64(max(g.Scored, 1)) }

// Run asks every problem at each setting. The first failed request ends it.
func Run(ctx context.Context, a Asker, o Options, problems []Problem) ([]Point, error) {
	o = o.withDefaults(problems)
	if len(o.Settings) == 0 || len(problems) == 0 {
		return nil, errors.New("nothing to ask: needs settings and problems")
	}
	total, done := len(o.Settings)*(len(problems)+o.Timed), 0
	step := func() {
		if done++; o.Progress != nil {
			o.Progress(done, total)
		}
	}
	var points []Point
	for _, s := range o.Settings {
		counted, err := o.askAll(ctx, a, s, problems, step)
		if err != nil {
			return nil, err
		}
		p := count(s, problems, counted)
		if err := o.time(ctx, a, &p, problems, step); err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	return points, nil
}

func (o Options) withDefaults(problems []Problem) Options {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	if o.Timed == 0 {
		o.Timed = 50
	}
	o.Timed = max(0, min(o.Timed, len(problems)))
	if o.Likelihood {
		o.Timed = 0
	}
	if o.MaxTokens <= 0 {
		for _, p := range problems {
			o.MaxTokens = max(o.MaxTokens, len(p.Answer)+4)
		}
	}
	return o
}

// reply is one problem's result, by either way of asking.
type reply struct {
	answer     Answer
	likelihood Likelihood
	correct    bool
}

func (o *Options) reply(ctx context.Context, a Asker, s Setting, p Problem) (r reply, err error) {
	if !o.Likelihood {
		r.answer, err = a.Ask(ctx, s, p, o.MaxTokens)
		r.correct = r.answer.Text == p.Answer
		return r, err
	}
	scorer, ok := a.(Scorer)
	if !ok {
		return r, errors.New("log-likelihood cannot be had from here")
	}
	r.likelihood, err = scorer.Score(ctx, s, p)
	r.correct = r.likelihood.Greedy
	return r, err
}

func (o *Options) askAll(ctx context.Context, a Asker, s Setting, problems []Problem, step func()) ([]reply, error) {
	out := make([]reply, len(problems))
	var mu sync.Mutex // guards step
	err := each(ctx, o.Concurrency, len(problems), func(ctx context.Context, i int) error {
		r, err := o.reply(ctx, a, s, problems[i])
		if err != nil {
			return err
		}
		out[i] = r
		mu.Lock()
		defer mu.Unlock()
		step()
		return nil
	})
	return out, err
}

// each calls f for 0 to n−1, so many at one time. The first error ends it.
func each(ctx context.Context, workers, n int, f func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan int)
	var wait sync.WaitGroup
	for range min(workers, n) {
		wait.Go(func() {
			for i := range work {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	wait.Wait()
	return context.Cause(ctx)
}

// time asks some problems one after another.
func (o *Options) time(ctx context.Context, a Asker, p *Point, problems []Problem, step func()) error {
	var first, all, each []time.Duration
	for _, problem := range Some(problems, o.Timed)[:o.Timed] {
		r, err := a.Ask(ctx, p.Setting, problem, o.MaxTokens)
		if err != nil {
			return err
		}
		first, all = append(first, r.TTFT), append(all, r.Time)
		each = append(each, r.Time/time.Duration(max(r.Tokens, 1)))
		step()
	}
	p.TTFT, p.E2E, p.PerToken = median(first), median(all), median(each)
	return nil
}
