package measure

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// SweepResult is what a sweep measured. Times are in milliseconds.
type SweepResult struct {
	Model  string   `json:"model"`
	Target string   `json:"target"` // "in-process" or the URL
	Date   string   `json:"date"`   // RFC 3339
	Runs   int      `json:"runs"`   // of each point, at least
	WarmUp int      `json:"warmup"`
	Points []*Point `json:"points"`
	// Fit is the first of Fits: end-to-end latency against loops at the first concurrency, prompt and answer length.
	// Null where fewer than two loop counts were swept.
	Fit  *Fit   `json:"fit"`
	Fits []*Fit `json:"fits"`
}

// Point is one shape's numbers, over the requests of all its runs.
type Point struct {
	Shape
	Numbers
	Rounds []Round `json:"rounds"`
}

// Round is one run of a point: medians over its requests.
type Round struct {
	E2E             float64 `json:"e2e_ms"`
	TTFT            float64 `json:"ttft_ms"`
	TPOT            float64 `json:"tpot_ms"` // 0 where answers have one token
	TokensPerSecond float64 `json:"tokens_per_second"`
}

// Sweep measures the plan's points. The first request that fails ends it.
func Sweep(ctx context.Context, c Client, p Plan) (*SweepResult, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	q, shapes := &requests{vocab: p.Vocab, exit: p.Exit, draft: p.Draft, seed: p.Seed}, p.Shapes()
	seen, least := make([]runs, len(shapes)), p.WarmUp+p.Runs
	done, total := 0, len(shapes)*least
	for round, again := 0, true; again; round++ { // in turn
		again = false
		for i, shape := range shapes {
			if round >= least { // one more only where the point needs it
				if seen[i].wall() >= p.Most || seen[i].numbers().E2E.narrow(Narrow) {
					continue
				}
				total++
			}
			r, err := q.run(ctx, c, shape, p.Least/time.Duration(p.Runs))
			if err != nil {
				return nil, fmt.Errorf("loops %d, concurrency %d, prompt %d, max_tokens %d: %w", shape.Loops, shape.Concurrency, shape.PromptTokens, shape.MaxTokens, err)
			}
			if again = true; round >= p.WarmUp {
				seen[i] = append(seen[i], r)
			}
			if done++; p.Progress != nil {
				p.Progress(done, total, shape)
			}
		}
	}
	out := &SweepResult{Date: now(), Target: inProcess, Runs: p.Runs, WarmUp: p.WarmUp}
	for i, shape := range shapes {
		out.Points = append(out.Points, seen[i].point(shape))
	}
	out.Fits = fits(out.Points)
	if len(out.Fits) > 0 {
		out.Fit = out.Fits[0]
	}
	return out, nil
}

// inProcess is the target of a result, unless its caller knows better.
const inProcess = "in-process"

func now() string { return time.Now().UTC().Format(time.RFC3339) }

// run sends a point's requests, all at once, and waits for the last; and again, until the run has had its time.
func (q *requests) run(ctx context.Context, c Client, shape Shape, least time.Duration) (r run, err error) {
	r.countBlocks(c, -1)
	for more := true; more; {
		replies, err := q.burst(ctx, c, shape)
		if err != nil {
			return r, err
		}
		start := slices.MinFunc(replies, func(a, b *Reply) int { return a.Start.Compare(b.Start) }).Start
		end := slices.MaxFunc(replies, func(a, b *Reply) int { return a.end().Compare(b.end()) }).end()
		r.add(replies, start, end)
		more = end.After(start) && r.wall < least
	}
	r.countBlocks(c, 1)
	return r, nil
}
