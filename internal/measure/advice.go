package measure

import (
	"cmp"
	"slices"
)

// Advice is the least depth that loses no more than is allowed.
type Advice struct {
	MaxLoss       float64 `json:"max_loss"` // points of accuracy
	Loops         int     `json:"loops"`
	ExitPolicy    string  `json:"exit_policy,omitempty"` // of the cheapest policy within the loss
	ExitThreshold float64 `json:"exit_threshold,omitempty"`
	PolicyLoops   int     `json:"policy_loops,omitempty"` // its cap
	MeanLoops     float64 `json:"policy_mean_loops,omitempty"`

	Best   *DepthPoint `json:"-"` // the fixed depth of the highest accuracy, the shallowest of equals: what loss is measured from
	Fixed  *DepthPoint `json:"-"` // the fewest loops within the loss
	Policy *DepthPoint `json:"-"` // the fewest mean loops within the loss; nil where no policy was asked, or none is
	Tried  bool        `json:"-"` // a policy was asked
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
	a := &Advice{MaxLoss: maxLoss, Loops: least.Loops, Best: best, Fixed: least, Tried: len(policies) > 0}
	if good := those(policies, within); len(good) > 0 {
		p := slices.MinFunc(good, byMeanLoops)
		a.ExitPolicy, a.ExitThreshold, a.PolicyLoops, a.MeanLoops, a.Policy = p.ExitPolicy, p.ExitThreshold, p.Loops, p.MeanLoops, p
	}
	return a
}

func byMeanLoops(a, b *DepthPoint) int { return cmp.Compare(a.MeanLoops, b.MeanLoops) }
