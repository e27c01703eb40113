package measure

import (
	"fmt"
	"strings"
)

// Advice is the least depth that loses no more than is allowed.
type Advice struct {
	MaxLoss       float64 `json:"max_loss"` // points of accuracy
	Loops         int     `json:"loops"`
	ExitPolicy    string  `json:"exit_policy,omitempty"` // of the cheapest policy within the loss
	ExitThreshold float64 `json:"exit_threshold,omitempty"`
	PolicyLoops   int     `json:"policy_loops,omitempty"` // its cap
	MeanLoops     float64 `json:"policy_mean_loops,omitempty"`

	best   *DepthPoint // the fixed depth of the highest accuracy, the shallowest of equals: what loss is measured from
	fixed  *DepthPoint // the fewest loops within the loss
	policy *DepthPoint // the fewest mean loops within the loss; nil where no policy was asked, or none is
	tried  bool        // a policy was asked
}

// Advise looks for it among the points; nil where no fixed depth was asked.
func Advise(points []DepthPoint, maxLoss float64) *Advice {
	a := &Advice{MaxLoss: maxLoss}
	for i := range points {
		p := &points[i]
		if p.Depth.fixed() && (a.best == nil || p.Accuracy > a.best.Accuracy || p.Accuracy == a.best.Accuracy && p.Loops < a.best.Loops) {
			a.best = p
		}
	}
	if a.best == nil {
		return nil
	}
	for i := range points {
		p := &points[i]
		a.tried = a.tried || p.Depth.policy()
		if p.Accuracy < a.best.Accuracy-maxLoss-1e-9 {
			continue
		}
		switch {
		case p.Depth.fixed() && (a.fixed == nil || p.Loops < a.fixed.Loops):
			a.fixed = p
		case p.Depth.policy() && (a.policy == nil || p.MeanLoops < a.policy.MeanLoops):
			a.policy = p
		}
	}
	a.Loops = a.fixed.Loops
	if p := a.policy; p != nil {
		a.ExitPolicy, a.ExitThreshold, a.PolicyLoops, a.MeanLoops = p.ExitPolicy, p.ExitThreshold, p.Loops, p.MeanLoops
	}
	return a
}

// String is the advice in words.
func (a *Advice) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "best: %.1f %% at %d loops\n", a.best.Accuracy, a.best.Loops)
	fmt.Fprintf(&out, "at most %g points less: loops %d (%.1f %%)", a.MaxLoss, a.Loops, a.fixed.Accuracy)
	switch p := a.policy; {
	case p != nil:
		fmt.Fprintf(&out, ", or exit_policy %s, exit_threshold %g, loops %d (%.1f %%): %.2f loops per token, %.0f %% of the best's and %.0f %% of %d",
			p.ExitPolicy, p.ExitThreshold, p.Loops, p.Accuracy, p.MeanLoops, 100*p.MeanLoops/float64(a.best.Loops), 100*p.MeanLoops/float64(p.Loops), p.Loops)
	case a.tried:
		out.WriteString("; no policy that was tried stays within it")
	}
	return out.String()
}
