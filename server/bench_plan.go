package server

import (
	"slices"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/server/api"
)

// mostBenchPoints is what one benchmark may ask for, beside what the table of fields says.
const mostBenchPoints = 128

// benchPlan is what the body of POST /v1/bench asks for, and the loop-steps that it takes.
func benchPlan(v *api.Values, t target, lim api.Limits) (p measure.Plan, steps int64, err error) {
	m := t.Model
	p = measure.Plan{
		Loops: v.Ints("loops"), Concurrency: v.Ints("concurrency"), PromptTokens: v.Ints("prompt_tokens"), MaxTokens: v.Ints("max_tokens"),
		Runs: v.Int("runs"), WarmUp: v.Int("warmup"), Seed: uint64(v.Int("seed")), Vocab: m.Vocab, Least: measure.LeastTime, Most: measure.MostTime,
	}
	for _, list := range []*[]int{&p.PromptTokens, &p.MaxTokens} {
		if *list == nil {
			*list = []int{min(16, m.Context-1)}
		}
	}
	if p.Loops == nil {
		p.Loops = sweptLoops(t)
	}
	shapes := p.Shapes()
	if len(shapes) > mostBenchPoints {
		return p, 0, api.Bad("", "too_many_points", "loops × concurrency × prompt_tokens × max_tokens gives %d points: at most %d are allowed", len(shapes), mostBenchPoints)
	}
	if prompt, tokens := slices.Max(p.PromptTokens), slices.Max(p.MaxTokens); prompt+tokens > m.Context {
		return p, 0, api.Bad("prompt_tokens", "context_length_exceeded",
			"prompt_tokens %d and max_tokens %d make %d: model %s has a context of %d tokens", prompt, tokens, prompt+tokens, m.Name, m.Context)
	}
	for _, s := range shapes {
		steps += int64(s.PromptTokens+s.MaxTokens) * int64(s.Loops) * int64(s.Concurrency) * int64(p.Runs+p.WarmUp)
	}
	if steps > lim.LoopSteps {
		return p, 0, api.Bad("", "too_many_loop_steps", "the benchmark takes %d loop-steps (tokens × loops × clients × runs): at most %d are allowed: "+
			"sweep fewer points, or fewer runs", steps, lim.LoopSteps)
	}
	return p, steps, nil
}

// sweptLoops are a name's own, or powers of two up to the most loops.
func sweptLoops(t target) []int {
	if t.Alias != 0 {
		return []int{t.Alias}
	}
	m := t.Model
	var out []int
	for n := 1; n <= m.Loops.Max && len(out) < 16; n *= 2 {
		if n >= m.Loops.Min {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		out = []int{m.Loops.Default}
	}
	return out
}
