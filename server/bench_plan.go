package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// What one benchmark may ask for, beside the model's own limits.
const (
	mostBenchList    = 16 // numbers in a list
	mostBenchPoints  = 128
	mostBenchRuns    = 50
	mostBenchWarmUp  = 10
	mostBenchClients = 64
)

var benchFields = []string{"model", "loops", "concurrency", "prompt_tokens", "max_tokens", "runs", "warmup", "seed", "force"}

// readBench reads the body of POST /v1/bench. Unlike elsewhere an unknown field is refused: no client of another server
// sends one here, and a misspelt one would measure something else.
func readBench(b api.Body, t target, lim Limits) (p measure.Plan, force bool, err error) {
	for name := range b {
		if !slices.Contains(benchFields, name) {
			return p, false, api.Bad(name, "unknown_field", "%s is not a field of a benchmark: the fields are %s", api.Quote(name), strings.Join(benchFields, ", "))
		}
	}
	m := t.Model
	r := &api.Reader{Body: b}
	loops := defaultSweep(m)
	if t.Alias != 0 {
		loops = []int{t.Alias}
	}
	clients := min(mostBenchClients, lim.Sequences)
	p.Loops = integers(r, "loops", loops, m.Loops.Min, m.Loops.Max)
	p.Concurrency = integers(r, "concurrency", []int{1}, 1, clients)
	p.PromptTokens = integers(r, "prompt_tokens", []int{min(16, m.Context-1)}, 1, m.Context-1)
	p.MaxTokens = integers(r, "max_tokens", []int{min(16, m.Context-1)}, 1, m.Context-1)
	p.Runs = r.Integer("runs", 3, 1, mostBenchRuns)
	p.WarmUp = r.Integer("warmup", 1, 0, mostBenchWarmUp)
	p.Seed = uint64(r.Integer("seed", 1, 0, 1<<40))
	p.Vocab, p.Least, p.Most = m.Vocab, measure.LeastTime, measure.MostTime
	force = r.Boolean("force", false)
	if r.Err != nil {
		return p, false, r.Err
	}
	return p, force, checkBench(&p, m, lim)
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

func checkBench(p *measure.Plan, m *generate.Model, lim Limits) error {
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

// integers reads an integer, or a list of different ones, each in [lo, hi].
func integers(r *api.Reader, name string, def []int, lo, hi int) []int {
	if r.Err != nil || !r.Body.Has(name) {
		return def
	}
	raw := r.Body[name]
	var items []json.RawMessage
	if raw[0] != '[' {
		items = []json.RawMessage{raw}
	} else if err := json.Unmarshal(raw, &items); err != nil || len(items) == 0 {
		r.Err = api.Bad(name, api.CodeValue, "%s is an empty list: give at least one integer from %d to %d", name, lo, hi)
		return nil
	}
	if len(items) > mostBenchList {
		r.Err = api.Bad(name, api.CodeValue, "%s has %d numbers: at most %d are allowed", name, len(items), mostBenchList)
		return nil
	}
	var out []int
	for i, item := range items {
		where := name
		if raw[0] == '[' {
			where = fmt.Sprintf("%s[%d]", name, i)
		}
		v, ok := api.Integer(item)
		switch {
		case !ok:
			r.Err = api.Bad(name, api.CodeType, "%s is %s: it must be %s", where, api.Show(item), api.IntegerRange(int64(lo), int64(hi)))
		case v < int64(lo) || v > int64(hi):
			r.Err = api.Bad(name, api.CodeValue, "%s is %s: it must be %s", where, api.Show(item), api.IntegerRange(int64(lo), int64(hi)))
		case slices.Contains(out, int(v)):
			r.Err = api.Bad(name, api.CodeValue, "%s is %d, which is in the list already: give each number once", where, v)
		}
		if r.Err != nil {
			return nil
		}
		out = append(out, int(v))
	}
	return out
}
