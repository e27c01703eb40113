package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// Run sweeps the plan over a target. The first request that fails ends it.
func Run(ctx context.Context, t Target, p Plan) (*Result, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	shapes := p.Shapes()
	gathered := make([]gathering, len(shapes))
	done, total := 0, len(shapes)*(p.Runs+p.WarmUp)
	seed := p.Seed
	for round := range p.WarmUp + p.Runs {
		for i, s := range shapes {
			before := blocksOf(t)
			r, err := burst(ctx, t, s, p.Exit, p.Draft, &seed)
			if err != nil {
				return nil, fmt.Errorf("loops %d, concurrency %d, prompt %d, max_tokens %d: %w", s.Loops, s.Concurrency, s.PromptTokens, s.MaxTokens, err)
			}
			if round >= p.WarmUp {
				gathered[i].add(r, blocksOf(t).minus(before))
			}
			if done++; p.Progress != nil {
				p.Progress(done, total, s)
			}
		}
	}
	out := &Result{Date: time.Now().UTC().Format(time.RFC3339), Target: "in-process", Runs: p.Runs, WarmUp: p.WarmUp}
	for i, s := range shapes {
		out.Points = append(out.Points, gathered[i].point(s))
	}
	out.Fits = fits(out.Points)
	if len(out.Fits) > 0 {
		out.Fit = &out.Fits[0]
	}
	return out, nil
}

// burst sends a shape's requests all at once and waits for the last.
func burst(ctx context.Context, t Target, s Shape, exit loopctl.ExitPolicy, draft int, seed *uint64) ([]*Sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([]*Sample, s.Concurrency)
	var wait sync.WaitGroup
	for i := range out {
		*seed++
		c := Call{Loops: s.Loops, PromptTokens: s.PromptTokens, MaxTokens: s.MaxTokens, Exit: exit, Draft: draft, Seed: *seed}
		wait.Go(func() {
			sample, err := t.Generate(ctx, c)
			if err != nil {
				cancel(err) // the first cause stays
			}
			out[i] = sample
		})
	}
	wait.Wait()
	return out, context.Cause(ctx)
}

// gathering holds a point's samples until all runs are done.
type gathering struct {
	ttft, itl, tpot, e2e []float64
	tokens, loops        []float64 // per second, by run
	rounds               []Round
	tokensAll, loopsAll  int
	drafted, accepted    int
	blocks               Blocks
}

func (g *gathering) add(samples []*Sample, b Blocks) {
	from := len(g.e2e)
	first, last := samples[0].Start, samples[0].Start
	tokens, loops := 0, 0
	var tpot []float64
	for _, s := range samples {
		g.ttft, g.e2e = append(g.ttft, ms(s.TTFT())), append(g.e2e, ms(s.E2E))
		for i := 1; i < len(s.Arrivals); i++ {
			g.itl = append(g.itl, ms(s.Arrivals[i]-s.Arrivals[i-1]))
		}
		if v, ok := s.TPOT(); ok {
			tpot = append(tpot, ms(v))
		}
		tokens, loops = tokens+s.Tokens, loops+s.Loops
		g.drafted, g.accepted = g.drafted+s.Drafted, g.accepted+s.Accepted
		if s.Start.Before(first) {
			first = s.Start
		}
		if end := s.Start.Add(s.E2E); end.After(last) {
			last = end
		}
	}
	g.tpot = append(g.tpot, tpot...)
	wall := last.Sub(first).Seconds()
	g.tokens, g.loops = append(g.tokens, ratio(float64(tokens), wall)), append(g.loops, ratio(float64(loops), wall))
	g.tokensAll, g.loopsAll = g.tokensAll+tokens, g.loopsAll+loops
	g.blocks = g.blocks.plus(b)
	g.rounds = append(g.rounds, Round{
		E2E: spreadOf(g.e2e[from:]).P50, TTFT: spreadOf(g.ttft[from:]).P50, TPOT: spreadOf(tpot).P50,
		TokensPerSecond: ratio(float64(tokens), wall),
	})
}

func (g *gathering) point(s Shape) Point {
	p := Point{
		Shape: s, Requests: len(g.e2e), TTFT: spreadOf(g.ttft), ITL: spreadOf(g.itl), TPOT: spreadOf(g.tpot), E2E: spreadOf(g.e2e),
		TokensPerSecond: spreadOf(g.tokens), LoopsPerSecond: spreadOf(g.loops),
		MeanLoops: ratio(float64(g.loopsAll), float64(g.tokensAll)), Rounds: g.rounds, Drafted: g.drafted, Accepted: g.accepted,
	}
	if b := g.blocks; b.Calls > 0 {
		each, rows, share := ms(b.Took)/float64(b.Calls), float64(b.Rows)/float64(b.Calls), ratio(float64(b.Rows), float64(b.Runnable))
		p.MSPerBlockCall, p.RowsPerCall, p.RowsRunnable = &each, &rows, &share
	}
	return p
}
