package measure

import (
	"context"
	"fmt"
	"time"
)

// SweepResult is what a sweep measured. Times are in milliseconds.
type SweepResult struct {
	Model  string  `json:"model"`
	Target string  `json:"target"` // "in-process" or the URL
	Date   string  `json:"date"`   // RFC 3339
	Runs   int     `json:"runs"`   // of each point, at least
	WarmUp int     `json:"warmup"`
	Points []Point `json:"points"`
	// Fit is the first of Fits: end-to-end latency against loops at the first concurrency, prompt and answer length.
	// Null where fewer than two loop counts were swept.
	Fit  *Fit  `json:"fit"`
	Fits []Fit `json:"fits"`
}

// Point is one shape's numbers, over the requests of all its runs.
type Point struct {
	Shape
	Requests int    `json:"requests"`
	TTFT     Spread `json:"ttft_ms"`
	ITL      Spread `json:"itl_ms"`
	TPOT     Spread `json:"tpot_ms"`
	E2E      Spread `json:"e2e_ms"`
	// TokensPerSecond and LoopsPerSecond are spreads over runs: a run's tokens divided by its time, which is that from the
	// first request to the last token.
	TokensPerSecond Spread `json:"tokens_per_second"`
	LoopsPerSecond  Spread `json:"loops_per_second"`
	// MeanLoops is per token.
	MeanLoops float64 `json:"mean_loops"`
	Calls
	Drafted  int     `json:"drafted,omitempty"` // tokens guessed, where drafts were asked for
	Accepted int     `json:"accepted,omitempty"`
	Rounds   []Round `json:"rounds"`
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
	s := &sweep{plan: &p, client: c, requests: &requests{vocab: p.Vocab, exit: p.Exit, draft: p.Draft, seed: p.Seed}}
	for _, shape := range p.Shapes() {
		s.points = append(s.points, &series{shape: shape})
	}
	s.total = len(s.points) * (p.Runs + p.WarmUp)
	for round := range p.WarmUp + p.Runs {
		for _, point := range s.points {
			if err := s.run(ctx, point, round >= p.WarmUp); err != nil {
				return nil, err
			}
		}
	}
	for added := true; added; { // in turn, too
		added = false
		for _, point := range s.points {
			if point.wall >= p.Most || spreadOf(point.e2e).narrow(Narrow) {
				continue
			}
			s.total++
			if err := s.run(ctx, point, true); err != nil {
				return nil, err
			}
			added = true
		}
	}
	out := &SweepResult{Date: now(), Target: "in-process", Runs: p.Runs, WarmUp: p.WarmUp}
	for _, point := range s.points {
		out.Points = append(out.Points, point.point())
	}
	out.Fits = fits(out.Points)
	if len(out.Fits) > 0 {
		out.Fit = &out.Fits[0]
	}
	return out, nil
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

type sweep struct {
	plan        *Plan
	client      Client
	requests    *requests
	points      []*series
	done, total int
}

// run sends a point's requests, all at once, and waits for the last; and again, until the run has had its time.
func (s *sweep) run(ctx context.Context, point *series, counts bool) error {
	var replies []*Reply
	wall, shape, blocks := time.Duration(0), point.shape, point.blocks
	blocks.count(s.client, -1)
	for more := true; more; {
		some, err := burst(ctx, s.client, s.requests, shape)
		if err != nil {
			return fmt.Errorf("loops %d, concurrency %d, prompt %d, max_tokens %d: %w", shape.Loops, shape.Concurrency, shape.PromptTokens, shape.MaxTokens, err)
		}
		took := span(some)
		replies, wall = append(replies, some...), wall+took
		more = took > 0 && wall < s.plan.Least/time.Duration(s.plan.Runs)
	}
	blocks.count(s.client, 1)
	if counts {
		point.add(replies, wall)
		point.blocks = blocks
	}
	if s.done++; s.plan.Progress != nil {
		s.plan.Progress(s.done, s.total, shape)
	}
	return nil
}

// burst sends a shape's requests all at once and waits for the last.
func burst(ctx context.Context, c Client, q *requests, s Shape) ([]*Reply, error) {
	asks, out := make([]Ask, s.Concurrency), make([]*Reply, s.Concurrency)
	for i := range asks {
		asks[i] = q.next(s)
	}
	err := together(ctx, s.Concurrency, func(ctx context.Context, i int) (err error) {
		out[i], err = c.Do(ctx, asks[i])
		return err
	})
	return out, err
}

// span is from the first request to the last token.
func span(replies []*Reply) time.Duration {
	first, last := replies[0].Start, replies[0].Start
	for _, r := range replies {
		if r.Start.Before(first) {
			first = r.Start
		}
		if end := r.Start.Add(r.E2E); end.After(last) {
			last = end
		}
	}
	return last.Sub(first)
}

// times are what replies took, in milliseconds, and what they brought.
type times struct {
	ttft, itl, tpot, e2e             []float64
	tokens, loops, drafted, accepted int
}

func (t *times) add(replies []*Reply) {
	for _, r := range replies {
		t.ttft, t.e2e = append(t.ttft, ms(r.TTFT)), append(t.e2e, ms(r.E2E))
		for i := 1; i < len(r.Stamps); i++ {
			t.itl = append(t.itl, ms(r.Stamps[i]-r.Stamps[i-1]))
		}
		if v, ok := r.TPOT(); ok {
			t.tpot = append(t.tpot, ms(v))
		}
		t.tokens, t.loops = t.tokens+r.Tokens, t.loops+r.Loops
		t.drafted, t.accepted = t.drafted+r.Drafted, t.accepted+r.Accepted
	}
}

// series is a point's runs so far.
type series struct {
	shape Shape
	times
	wall                  time.Duration // of all bursts
	blocks                Blocks
	tokenRates, loopRates []float64 // per second, by run
	rounds                []Round
}

// add takes a run in.
func (s *series) add(replies []*Reply, wall time.Duration) {
	var run times
	run.add(replies)
	s.times.add(replies)
	s.wall += wall
	rate := ratio(float64(run.tokens), wall.Seconds())
	s.tokenRates, s.loopRates = append(s.tokenRates, rate), append(s.loopRates, ratio(float64(run.loops), wall.Seconds()))
	s.rounds = append(s.rounds, Round{E2E: median(run.e2e), TTFT: median(run.ttft), TPOT: median(run.tpot), TokensPerSecond: rate})
}

func (s *series) point() Point {
	return Point{
		Shape: s.shape, Requests: len(s.e2e), TTFT: spreadOf(s.ttft), ITL: spreadOf(s.itl), TPOT: spreadOf(s.tpot), E2E: spreadOf(s.e2e),
		TokensPerSecond: spreadOf(s.tokenRates), LoopsPerSecond: spreadOf(s.loopRates), MeanLoops: ratio(float64(s.loops), float64(s.tokens)),
		Calls: s.blocks.means(), Drafted: s.drafted, Accepted: s.accepted, Rounds: s.rounds,
	}
}
