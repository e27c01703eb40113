package generate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
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
	r.Cut = v.Ints("prompt_cut")
	r.TargetITL = time.Duration(v.Number("target_itl_ms") * float64(time.Millisecond))
	r.Elastic = v.Bool("elastic") || r.TargetITL > 0 && !v.Has("elastic")
	if r.Draft = v.Int("draft_loops"); m.AutoDraft && !v.Has("draft_loops") {
		r.Draft = loopctl.DraftAuto
	}
	r.Lens, p.Budget = min(v.Int("return_lens"), m.Vocab), v.Int("loop_budget")
	if err := r.CheckDepth(m.capacity()); err != nil {
		return depthError(err, v, from)
	}
	p.warnOfSteps()
	if p.Budget > 0 && p.Budget < r.Loops {
		return api.Bad("loop_budget", api.CodeValue, "loop_budget is %d and one token may take %d loops: raise loop_budget or lower loops", p.Budget, r.Loops)
	}
	return nil
}

// origin is where a request's loops come from, for messages.
type origin struct {
	what string          // as messages call it
	raw  json.RawMessage // as it was sent; nil where they are no number
}

// readLoops finds the request's loops: the body's loops, then its reasoning_effort, then the alias, then X-Loops, then
// the model's default.
func (p *Plan) readLoops(v *api.Values, t Target, header string) (origin, error) {
	m := p.Model
	from := origin{what: "loops"}
	switch {
	case v.Has("loops"):
		from.raw = v.Raw("loops")
	case v.Effort() != "":
		p.Requested = Efforts(m)[v.Effort()]
	case t.Alias != 0: // Takes has looked at it
		p.Requested = t.Alias
	case header != "" && !t.Auto: // that alias brings a depth of its own
		from.what, from.raw = "header X-Loops", json.RawMessage(header)
		if _, ok := api.Integer(from.raw); !ok {
			from.raw = json.RawMessage(strconv.Quote(header))
		}
	}
	if v.Has("trajectory") {
		way, err := readTrajectory(v.Raw("trajectory"))
		if err != nil {
			return from, err
		}
		p.Request.Trajectory = way
		if !v.Has("loops") {
			from = origin{"the number of steps in trajectory", json.RawMessage(strconv.Itoa(len(way)))}
		}
	}
	p.Request.Loops = cmp.Or(p.Requested, m.Loops.Default)
	if from.raw == nil {
		return from, nil
	}
	n, ok := api.Integer(from.raw)
	clamp := v.Bool("loops_clamp")
	if !ok || n < 1 && !clamp || n != int64(int32(n)) { // 0 is loopctl's word for the default
		return from, v.OutOfRange("loops", from.what, from.raw)
	}
	p.Requested, p.Request.Loops = int(n), int(n)
	if clamp {
		p.Request.Loops = min(max(p.Requested, m.Loops.Min), m.Loops.Max)
	}
	return from, nil
}

// readTrajectory reads the steps of a request's loops.
func readTrajectory(raw json.RawMessage) (loopctl.Trajectory, error) {
	var way loopctl.Trajectory
	if json.Unmarshal(raw, &way) != nil || len(way) == 0 {
		return nil, api.Bad("trajectory", api.CodeType, "trajectory is %s: give a list of positive numbers, a step for each loop, as [4, 2, 1, 1]", api.Show(raw))
	}
	return way, nil
}

// warnOfSteps tells of steps that the model has never seen.
func (p *Plan) warnOfSteps() {
	m := p.Model
	for depth := range p.Request.Loops {
		_, step := p.Request.Trajectory.At(depth, p.Request.Loops)
		if share := float64(step) * float64(m.Grid); m.Grid > 0 && math.Abs(share-math.Round(share)) > 1e-4 {
			p.Warnings = append(p.Warnings, fmt.Sprintf("model %s was trained on steps that are multiples of 1/%d, and loop %d of %d goes %.4g of the way: "+
				"set loops to a divisor of %[2]d", m.Name, m.Grid, depth+1, p.Request.Loops, step))
			return
		}
	}
}

// Efforts are OpenAI's reasoning efforts, each as a place in the model's range of loops. A looped model has no other knob for
// how long it thinks about a token.
func Efforts(m *Model) map[string]int {
	l := m.Loops
	return map[string]int{
		"none": l.Min, "minimal": l.Min, "low": (l.Min + l.Default) / 2, "medium": l.Default, "high": m.TrainedLoops(), "xhigh": l.Max,
	}
}

// policyNames are spellings of other code bases, each with ours. Those of another meaning are refused with the policy
// that comes nearest.
var policyNames = map[string]loopctl.ExitKind{
	"latent_delta": loopctl.ExitDelta, "latent-diff": loopctl.ExitDelta, "entropy-diff": loopctl.ExitEntropy, "argmax-stability": loopctl.ExitArgmax,
}

var nearPolicies = map[string]string{
	"logit_delta": `"kl" compares the logits of two loops, "delta" the hidden states`,
	"latent":      `write "delta"`, "delta_h": `write "delta"`, "logits": `write "kl"`, "minp-kl": `write "kl"`, "hazard": `write "gate"`,
	"ponder": `write "gate"`, "q_exit": `write "gate"`, "confidence": `"entropy" is nearest`, "fixed": `write "none"`, "off": `write "none"`,
}

// readPolicy reads exit_policy, min_loops, exit_threshold and exit_agree over what the alias brings.
func (p *Plan) readPolicy(v *api.Values, t Target) (err error) {
	x := &p.Request.Exit
	switch name := v.Text("exit_policy"); {
	case name == "auto" || name == "" && t.Auto:
		a := p.Model.AutoDepth()
		*x = a.Exit
		if p.Requested == 0 {
			p.Request.Loops = a.Loops
		}
		x.MinLoops = min(x.MinLoops, p.Request.Loops)
	case name != "":
		if x.Kind, err = ParsePolicy(name, p.Model); err != nil {
			return err
		}
		if own := p.Model.Recommended.Exit; own.Kind == x.Kind {
			x.Threshold = own.Threshold
		}
	}
	if v.Has("min_loops") {
		x.MinLoops = v.Int("min_loops")
	}
	if v.Has("exit_agree") {
		x.Agree = v.Int("exit_agree")
	}
	if x.Kind == loopctl.ExitNone {
		return p.withoutPolicy(v)
	}
	if raw := v.Raw("exit_threshold"); raw != nil {
		n, ok := api.Float(raw)
		if !ok || n <= 0 { // 0 is loopctl's word for the default
			n = math.NaN()
		}
		x.Threshold = n
	}
	return nil
}

// withoutPolicy refuses fields that only a policy reads. min_loops also bounds elastic depth, and is what loops is
// lowered to.
func (p *Plan) withoutPolicy(v *api.Values) error {
	r := &p.Request
	for _, field := range []string{"exit_threshold", "exit_agree", "min_loops"} {
		if !v.Has(field) {
			continue
		}
		if field == "min_loops" && (v.Has("elastic") || v.Has("target_itl_ms") || v.Has("replay_loops") || r.Exit.MinLoops >= r.Loops) {
			continue
		}
		if len(p.Model.ExitPolicies()) == 1 {
			return api.Bad(field, api.CodeValue, "%[1]s has no effect: model %[2]s has no exit policies: leave %[1]s out", field, p.Model.Name)
		}
		return api.Bad(field, api.CodeMissing, "%[1]s has no effect without exit_policy: set exit_policy to one of %[2]s, or leave %[1]s out",
			field, strings.Join(p.Model.ExitPolicies()[1:], ", "))
	}
	return nil
}

// ParsePolicy finds the policy of a name, and has loopctl refuse one that the model does not allow.
func ParsePolicy(name string, m *Model) (loopctl.ExitKind, error) {
	kind, ok := loopctl.ParseExitKind(name)
	if !ok {
		kind, ok = policyNames[name]
	}
	if ok {
		r := loopctl.Request{Exit: loopctl.ExitPolicy{Kind: kind}}
		e, refused := errors.AsType[*loopctl.FieldError](r.CheckDepth(m.capacity()))
		if !refused {
			return kind, nil
		}
		out := Refused(e)
		out.Message = fmt.Sprintf("exit_policy is %q: %s, auto", name, strings.Replace(e.Why, "this model", "model "+m.Name, 1))
		return 0, out
	}
	allowed := strings.Join(append(m.ExitPolicies(), "auto"), ", ")
	if near := nearPolicies[name]; near != "" {
		return 0, api.Bad("exit_policy", api.CodeValue, "exit_policy is %s, which is not known here: %s; the policies are %s", api.Quote(name), near, allowed)
	}
	return 0, api.Bad("exit_policy", api.CodeValue, "exit_policy is %s: model %s takes one of %s", api.Quote(name), m.Name, allowed)
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
		return api.Conflict("replay_loops", "min_loops", "the loops are given; leave one of the two out")
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

// Refused is what clients are told of a field that loopctl refuses.
func Refused(e *loopctl.FieldError) *api.Error {
	code := api.CodeValue
	switch {
	case e.With != "":
		code = "conflicting_fields"
	case e.Field == "exit_policy":
		code = "unsupported_policy"
	case strings.HasSuffix(e.Field, "loops"):
		code = api.CodeLoops
	case e.Field == "prompt" && e.Item != "":
		code = "token_id_out_of_range"
	}
	return api.Bad(e.Field, code, "%s", e.Error())
}

// depthError words an error of CheckDepth with what the body says: the value as it was sent, and the field that was sent
// where it stands for another one.
func depthError(err error, v *api.Values, loops origin) error {
	e, ok := errors.AsType[*loopctl.FieldError](err)
	if !ok {
		return err
	}
	out := Refused(e)
	raw := v.Raw(e.Field)
	switch {
	case e.Field == "loops":
		return v.OutOfRange("loops", loops.what, loops.raw)
	case e.With == "elastic" && !v.Has("elastic"): // which target_itl_ms implies
		out.Message = strings.Replace(out.Message, "and elastic", "and target_itl_ms", 1)
	case e.With == "" && e.Item == "" && raw != nil:
		out.Message = fmt.Sprintf("%s is %s: %s", e.Field, api.Show(raw), e.Why)
		if _, number := api.Float(raw); e.Field == "exit_threshold" && !number {
			out.Code = api.CodeType
		}
	}
	return out
}
