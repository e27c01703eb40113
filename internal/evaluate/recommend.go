package evaluate

import (
	"fmt"
	"strings"

	"github.com/loopserve/loopserve/loopctl"
)

// Recommendation is the least depth that loses no more than is allowed.
type Recommendation struct {
	Best   *Point // the fixed depth of the highest accuracy, the shallowest of equals: what loss is measured from
	Fixed  *Point // the fewest loops within the loss
	Policy *Point // the fewest mean loops within the loss; nil where no policy was asked, or none is
	// PolicyTried says that a policy was asked.
	PolicyTried bool
	MaxLoss     float64 // points of accuracy
}

// Recommend looks for it among the points; false where no fixed depth was asked.
func Recommend(points []Point, maxLoss float64) (Recommendation, bool) {
	r := Recommendation{MaxLoss: maxLoss}
	for i := range points {
		p := &points[i]
		if p.fixed() && (r.Best == nil || p.Accuracy() > r.Best.Accuracy() || p.Accuracy() == r.Best.Accuracy() && p.Setting.Loops < r.Best.Setting.Loops) {
			r.Best = p
		}
	}
	if r.Best == nil {
		return r, false
	}
	for i := range points {
		p := &points[i]
		r.PolicyTried = r.PolicyTried || p.policy()
		if p.Accuracy() < r.Best.Accuracy()-maxLoss-1e-9 {
			continue
		}
		switch {
		case p.fixed() && (r.Fixed == nil || p.Setting.Loops < r.Fixed.Setting.Loops):
			r.Fixed = p
		case p.policy() && (r.Policy == nil || p.MeanLoops() < r.Policy.MeanLoops()):
			r.Policy = p
		}
	}
	return r, true
}

func (p *Point) fixed() bool { return p.Setting.Exit.Kind == loopctl.ExitNone && p.Setting.Draft == 0 }

func (p *Point) policy() bool { return p.Setting.Exit.Kind != loopctl.ExitNone }

// String is the recommendation in words.
func (r Recommendation) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "best: %.1f %% at %d loops\n", r.Best.Accuracy(), r.Best.Setting.Loops)
	fmt.Fprintf(&out, "at most %g points less: loops %d (%.1f %%)", r.MaxLoss, r.Fixed.Setting.Loops, r.Fixed.Accuracy())
	switch p := r.Policy; {
	case p != nil:
		fmt.Fprintf(&out, ", or exit_policy %s, exit_threshold %g, loops %d (%.1f %%): %.2f loops per token, %.0f %% of the best's and %.0f %% of %d",
			p.Setting.Exit.Kind, p.Setting.Exit.Threshold, p.Setting.Loops, p.Accuracy(), p.MeanLoops(),
			100*p.MeanLoops()/float64(r.Best.Setting.Loops), 100*p.MeanLoops()/float64(p.Setting.Loops), p.Setting.Loops)
	case r.PolicyTried:
		out.WriteString("; no policy that was tried stays within it")
	}
	return out.String()
}
