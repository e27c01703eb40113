package server

import (
	"slices"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// What one benchmark may ask for, beside what the table of fields says.
const (
	mostBenchList   = 16 // loop counts
	mostBenchPoints = 128
)

// readBench reads the body of POST /v1/bench.
func readBench(b api.Body, t target, lim api.Limits) (p measure.Plan, force bool, err error) {
	m := t.Model
	v, err := api.Decode(b, api.Bench, m.Bounds(lim))
	if err != nil {
		return p, false, err
	}
	loops := defaultSweep(m)
	if t.Alias != 0 {
		loops = []int{t.Alias}
	}
	list := func(name string, def []int) []int {
		if v.Has(name) {
			return v.Ints(name)
		}
		return def
	}
	some := []int{min(16, m.Context-1)}
	p.Loops, p.Concurrency = list("loops", loops), list("concurrency", []int{1})
	p.PromptTokens, p.MaxTokens = list("prompt_tokens", some), list("max_tokens", some)
	p.Vocab, p.Least, p.Most = m.Vocab, measure.LeastTime, measure.MostTime
	p.Runs, p.WarmUp, p.Seed = v.Int("runs"), v.Int("warmup"), uint64(v.Int("seed"))
	return p, v.Bool("force"), checkBench(&p, m, lim)
}

// defaultSweep is powers of two up to the most loops.
func defaultSweep(m *generate.Model) []int {
	var out []int
	for n := 1; n <= m.Loops.Max && len(out) < mostBenchList; n *= 2 {
		if n >= m.Loops.Min {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		out = []int{m.Loops.Default}
	}
	return out
}

func checkBench(p *measure.Plan, m *generate.Model, lim api.Limits) error {
	shapes := len(p.Loops) * len(p.Concurrency) * len(p.PromptTokens) * len(p.MaxTokens)
	if shapes > mostBenchPoints {
		return api.Bad("", "too_many_points", "loops × concurrency × prompt_tokens × max_tokens gives %d points: at most %d are allowed", shapes, mostBenchPoints)
	}
	if prompt, tokens := slices.Max(p.PromptTokens), slices.Max(p.MaxTokens); prompt+tokens > m.Context {
		return api.Bad("prompt_tokens", "context_length_exceeded",
			"prompt_tokens %d and max_tokens %d make %d: model %s has a context of %d tokens", prompt, tokens, prompt+tokens, m.Name, m.Context)
	}
	steps := int64(0)
	for _, s := range p.Shapes() {
		steps += int64(s.PromptTokens+s.MaxTokens) * int64(s.Loops) * int64(s.Concurrency) * int64(p.Runs+p.WarmUp)
	}
	if steps > lim.LoopSteps {
		return api.Bad("", "too_many_loop_steps", "the benchmark takes %d loop-steps (tokens × loops × clients × runs): at most %d are allowed: "+
			"sweep fewer points, or fewer runs", steps, lim.LoopSteps)
	}
	return nil
}
