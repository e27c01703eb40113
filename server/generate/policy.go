package generate

import (
	"errors"
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
func (p *Plan) readPolicy(b api.Body, t Target) error {
	d, m := &p.Request, p.Model
	name, err := b.Text("exit_policy")
	if err != nil {
		return err
	}
	switch {
	case name == "auto" || name == "" && t.Auto:
		a := m.AutoDepth()
		d.Exit = a.Exit
		if p.Requested == 0 {
			d.Loops = a.Loops
		}
	case name != "":
		if d.Exit.Kind, err = ParsePolicy(name, m); err != nil {
			return err
		}
	}
	r := &api.Reader{Body: b}
	least := r.Integer("min_loops", 0, int64(m.Loops.Min), int64(m.Loops.Max))
	d.Exit.Agree = r.Integer("exit_agree", int64(d.Exit.Agree), 1, int64(m.Loops.Max))
	if r.Err != nil {
		return r.Err
	}
	if b.Has("min_loops") {
		d.Exit.MinLoops = least
		if least > d.Loops {
			return api.Bad("min_loops", "loops_out_of_range", "min_loops is %d and loops is %d: min_loops must not exceed it", least, d.Loops)
		}
	}
	d.Exit.MinLoops = min(d.Exit.MinLoops, d.Loops)
	if d.Exit.Kind == loopctl.ExitNone {
		return p.withoutPolicy(b)
	}
	if b.Has("exit_threshold") {
		d.Exit.Threshold, err = thresholdOf(b, d.Exit.Kind, m)
	}
	return err
}

// withoutPolicy refuses fields that a policy would read. min_loops also bounds elastic depth, and is what loops is
// lowered to.
func (p *Plan) withoutPolicy(b api.Body) error {
	d, m := &p.Request, p.Model
	for _, field := range []string{"exit_threshold", "exit_agree", "min_loops"} {
		if !b.Has(field) || field == "min_loops" && (b.Has("elastic") || b.Has("target_itl_ms") || d.Exit.MinLoops == d.Loops || b.Has("replay_loops")) {
			continue
		}
		return api.Bad(field, "missing_field", "%s is given without an exit policy, which would read it: set exit_policy to one of %s, or leave %s out",
			field, strings.Join(m.ExitPolicies()[1:], ", "), field)
	}
	return nil
}

// ParsePolicy finds the policy of a name, and refuses one that the model does not allow.
func ParsePolicy(name string, m *Model) (loopctl.ExitKind, error) {
	kind, ok := loopctl.ParseExitKind(name)
	if !ok {
		kind, ok = policyNames[name]
	}
	allowed := append(m.ExitPolicies(), "auto")
	switch {
	case !ok && nearPolicies[name] != "":
		return 0, api.Bad("exit_policy", api.CodeValue, "exit_policy is %s, which is not known here: %s; the policies are %s",
			api.Quote(name), nearPolicies[name], strings.Join(allowed, ", "))
	case !ok:
		return 0, api.Bad("exit_policy", api.CodeValue, "exit_policy is %s: model %s takes one of %s", api.Quote(name), m.Name, strings.Join(allowed, ", "))
	case !m.capacity().Allows(kind):
		lacks := "a gate"
		if kind == loopctl.ExitDelta {
			lacks = "the latent's change"
		}
		return 0, api.Bad("exit_policy", "unsupported_policy", "exit_policy is %s: model %s does not emit %s: use one of %s",
			api.Quote(name), m.Name, lacks, strings.Join(allowed, ", "))
	}
	return kind, nil
}

// thresholdOf reads exit_threshold.
func thresholdOf(b api.Body, k loopctl.ExitKind, m *Model) (float64, error) {
	if k == loopctl.ExitArgmax {
		v, err := b.Integer("exit_threshold", 0, 1, int64(m.Loops.Max))
		if err != nil {
			if e, ok := errors.AsType[*api.Error](err); ok {
				e.Message += ": for how many loops the most likely token must stay the same"
			}
			return 0, err
		}
		return float64(v), nil
	}
	want := m.capacity().Threshold(k)
	v, err := b.Number("exit_threshold", 0, math.SmallestNonzeroFloat64, want.High)
	if err == nil {
		return v, nil
	}
	code := api.CodeValue
	if raw := b["exit_threshold"]; raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		code = api.CodeType
	}
	return 0, api.Bad("exit_threshold", code, "exit_threshold is %s: for policy %s it must be a number above 0 and at most %v: %s (default %v)",
		api.Show(b["exit_threshold"]), k, want.High, want.Means, want.Default)
}
