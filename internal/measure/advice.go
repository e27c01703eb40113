package measure

import (
	"cmp"
	"fmt"
	"slices"
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
func Advise(points []*DepthPoint, maxLoss float64) *Advice {
	fixed, policies := those(points, (*DepthPoint).fixed), those(points, (*DepthPoint).policy)
	if len(fixed) == 0 {
		return nil
	}
	best := slices.MinFunc(fixed, func(a, b *DepthPoint) int {
		return cmp.Or(cmp.Compare(b.Accuracy, a.Accuracy), cmp.Compare(a.Loops, b.Loops))
	})
	within := func(p *DepthPoint) bool { return p.Accuracy >= best.Accuracy-maxLoss-1e-9 }
	least := slices.MinFunc(those(fixed, within), func(a, b *DepthPoint) int { return cmp.Compare(a.Loops, b.Loops) })
	a := &Advice{MaxLoss: maxLoss, Loops: least.Loops, best: best, fixed: least, tried: len(policies) > 0}
	if good := those(policies, within); len(good) > 0 {
		p := slices.MinFunc(good, byMeanLoops)
		a.ExitPolicy, a.ExitThreshold, a.PolicyLoops, a.MeanLoops, a.policy = p.ExitPolicy, p.ExitThreshold, p.Loops, p.MeanLoops, p
	}
	return a
}

func byMeanLoops(a, b *DepthPoint) int { return cmp.Compare(a.MeanLoops, b.MeanLoops) }

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
