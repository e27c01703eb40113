package generate

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// policyNames are spellings of other code bases, each with ours. Those of another meaning are refused with the policy
// that comes nearest.
var policyNames = map[string]loopctl.ExitKind{
	"latent_delta": loopctl.ExitDelta, "latent-diff": loopctl.ExitDelta, "entropy-diff": loopctl.ExitEntropy, "argmax-stability": loopctl.ExitArgmax,
}

var nearPolicies = map[string]string{
	"logit_delta": `"kl" compares the logits of two loops, "delta" the latents`,
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
		if e, refused := errors.AsType[*loopctl.FieldError](r.CheckDepth(m.capacity())); refused {
			out := Refused(e)
			out.Message = fmt.Sprintf("exit_policy is %q: %s, auto", name, strings.Replace(e.Why, "this model", "model "+m.Name, 1))
			return 0, out
		}
		return kind, nil
	}
	allowed := strings.Join(append(m.ExitPolicies(), "auto"), ", ")
	if near := nearPolicies[name]; near != "" {
		return 0, api.Bad("exit_policy", api.CodeValue, "exit_policy is %s, which is not known here: %s; the policies are %s", api.Quote(name), near, allowed)
	}
	return 0, api.Bad("exit_policy", api.CodeValue, "exit_policy is %s: model %s takes one of %s", api.Quote(name), m.Name, allowed)
}
