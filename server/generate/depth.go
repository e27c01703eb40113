package generate

import (
	"math"
	"slices"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// mostLens bounds return_lens, and mostLensEntries what one answer may hold of it: each entry is some 40 bytes.
const (
	mostLens        = 20
	mostLensEntries = 1 << 20
)

// readDepth reads all fields of the depth, and refuses combinations that contradict each other.
func (p *Plan) readDepth(b api.Body, t Target, header string) (err error) {
	d, m := &p.Request, p.Model
	if p.Requested, d.Loops, err = loopsOf(b, t, header); err != nil {
		return err
	}
	if err := p.readPolicy(b, t); err != nil {
		return err
	}
	if d.Replay, err = replayOf(b, m); err != nil {
		return err
	}
	if len(d.Replay) > 0 {
		if err := p.fitReplay(b); err != nil {
			return err
		}
	}
	r := &api.Reader{Body: b}
	p.readElastic(r)
	d.Draft = r.Integer("draft_loops", 0, 0, int64(m.Loops.Max))
	p.Budget = r.Integer("loop_budget", 0, 1, math.MaxInt32)
	d.Lens = min(readLens(r), m.Vocab)
	if r.Err != nil {
		return r.Err
	}
	return p.contradictions(b)
}

// fitReplay makes the cap, at which prompts run, hold the deepest token.
func (p *Plan) fitReplay(b api.Body) error {
	d := &p.Request
	deepest := slices.Max(d.Replay)
	if p.Requested == 0 {
		d.Loops = max(d.Loops, deepest)
	}
	if deepest > d.Loops {
		return api.Bad("replay_loops", "loops_out_of_range",
			"replay_loops goes up to %d and loops is %d: loops must be at least the deepest: give the loops of the answer that you replay", deepest, d.Loops)
	}
	if d.Exit.Kind != loopctl.ExitNone && (b.Has("exit_policy") || b.Has("exit_threshold") || b.Has("exit_agree")) {
		return api.Conflict("replay_loops", "exit_policy", "the depths are given: leave one of the two out")
	}
	d.Exit = loopctl.ExitPolicy{} // an alias's or the model's own: the depths are given
	if b.Has("min_loops") {
		return api.Conflict("replay_loops", "min_loops", "the depths are given: leave one of the two out")
	}
	return nil
}

// readElastic: a wish for a time between tokens allows the depth to be lowered, unless that is denied.
func (p *Plan) readElastic(r *api.Reader) {
	d := &p.Request
	ms := r.Number("target_itl_ms", 0, 0, 3_600_000)
	if r.Err == nil && r.Body.Has("target_itl_ms") && ms == 0 {
		r.Err = api.Bad("target_itl_ms", api.CodeValue, "target_itl_ms is 0: it must be above 0, the milliseconds between two tokens to aim at")
	}
	d.TargetITL = time.Duration(ms * float64(time.Millisecond))
	d.Elastic = r.Boolean("elastic", ms > 0)
	if r.Err == nil && ms > 0 && !d.Elastic {
		r.Err = api.Conflict("target_itl_ms", "elastic", "the time is met by lowering the depth: set elastic to true, or leave target_itl_ms out")
	}
}

// contradictions are fields that are right alone and make no sense together.
func (p *Plan) contradictions(b api.Body) error {
	d, m := &p.Request, p.Model
	fixed := ""
	switch {
	case len(d.Replay) > 0:
		fixed = "replay_loops"
	case d.Draft > 0:
		fixed = "draft_loops"
	}
	switch {
	case fixed != "" && b.Has("target_itl_ms"):
		return api.Conflict(fixed, "target_itl_ms", "it needs a depth that stays: leave one of the two out")
	case fixed != "" && d.Elastic:
		return api.Conflict(fixed, "elastic", "it needs a depth that stays: leave one of the two out")
	case d.Draft > 0 && len(d.Replay) > 0:
		return api.Conflict("draft_loops", "replay_loops", "guessing ahead needs one depth for all tokens: leave one of the two out")
	case d.Draft > 0 && d.Exit.Kind != loopctl.ExitNone:
		return api.Conflict("draft_loops", "exit_policy", `guessing ahead needs one depth for all tokens: send exit_policy "none", or leave draft_loops out`)
	case d.Draft > 0 && d.Lens > 0:
		return api.Conflict("draft_loops", "return_lens", "a guess is not looked at loop by loop: leave one of the two out")
	case d.Draft >= d.Loops && d.Draft > 0:
		return api.Bad("draft_loops", "loops_out_of_range", "draft_loops is %d and loops is %d: a guess must take fewer loops than the answer", d.Draft, d.Loops)
	case d.Draft > 0 && d.Draft < m.Loops.Min:
		return api.Bad("draft_loops", "loops_out_of_range", "draft_loops is %d: model %s takes an integer from %d to %d, or 0 for no guesses",
			d.Draft, m.Name, m.Loops.Min, m.Loops.Max-1)
	case p.Budget > 0 && p.Budget < d.Loops:
		return api.Bad("loop_budget", api.CodeValue, "loop_budget is %d and one token may take %d loops: raise loop_budget or lower loops", p.Budget, d.Loops)
	}
	return nil
}

// tokensWithin is how many of max tokens the loop budget may allow at best. Where each token takes the same number of
// loops it is how many there will be; otherwise the budget ends the answer when what is left may not do for a token.
func (p *Plan) tokensWithin(maxTokens int) int {
	if p.Budget == 0 {
		return maxTokens
	}
	return min(maxTokens, max(p.Budget/p.leastLoops(), 1))
}

// leastLoops is the fewest loops that a token of the request may take.
func (p *Plan) leastLoops() int {
	switch r := &p.Request; {
	case len(r.Replay) > 0:
		return slices.Min(r.Replay)
	case r.Exit.Kind == loopctl.ExitNone && !r.Elastic:
		return r.Loops
	}
	return max(p.Request.Exit.MinLoops, p.Model.Loops.Min)
}

// spent says whether after so many loops the budget may not do for one more token.
func (p *Plan) spent(loops int) bool { return p.Budget > 0 && loops+p.Request.Loops > p.Budget }
