package generate

import (
	"slices"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// mostLensEntries bounds what one answer may hold of return_lens: each entry is some 40 bytes.
const mostLensEntries = 1 << 20

// readDepth reads how deep the request's tokens go. What of it the model can do, and which fields contradict each other,
// is loopctl's to say: its bounds are nowhere else.
func (p *Plan) readDepth(v *api.Values, t Target, header string) error {
	r, m := &p.Request, p.Model
	from, err := p.readLoops(v, t, header)
	if err != nil {
		return err
	}
	if err := p.readPolicy(v, t); err != nil {
		return err
	}
	if r.Replay = v.Ints("replay_loops"); r.Replay != nil {
		if err := p.fitReplay(v); err != nil {
			return err
		}
	}
	r.TargetITL = time.Duration(v.Number("target_itl_ms") * float64(time.Millisecond))
	r.Elastic = v.Bool("elastic") || r.TargetITL > 0 && !v.Has("elastic")
	r.Draft, r.Lens, p.Budget = v.Int("draft_loops"), min(v.Int("return_lens"), m.Vocab), v.Int("loop_budget")
	if err := r.CheckDepth(m.capacity()); err != nil {
		return depthError(err, v, from)
	}
	if p.Budget > 0 && p.Budget < r.Loops {
		return api.Bad("loop_budget", api.CodeValue, "loop_budget is %d and one token may take %d loops: raise loop_budget or lower loops", p.Budget, r.Loops)
	}
	return nil
}

// fitReplay makes the cap, at which prompts run, hold the deepest token, and leaves the policy of an alias out.
func (p *Plan) fitReplay(v *api.Values) error {
	r := &p.Request
	if p.Requested == 0 {
		r.Loops = min(max(r.Loops, slices.Max(r.Replay)), p.Model.Loops.Max)
	}
	if !v.Has("exit_policy") && !v.Has("exit_threshold") && !v.Has("exit_agree") {
		r.Exit = loopctl.ExitPolicy{}
	}
	if v.Has("min_loops") && r.Exit.Kind == loopctl.ExitNone {
		return api.Conflict("replay_loops", "min_loops", "the depths are given; leave one of the two out")
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
