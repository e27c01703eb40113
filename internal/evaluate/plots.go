package evaluate

import (
	"cmp"
	"slices"

	"github.com/loopserve/loopserve/internal/plot"
	"github.com/loopserve/loopserve/loopctl"
)

// AccuracyPlot is accuracy against fixed loops, a line for each group beside the one for all. log takes powers of two as
// the axis.
func AccuracyPlot(model string, points []Point, log bool) []byte {
	c := &plot.Chart{
		Title: "Accuracy against loops: " + model, Desc: "Exact answers in percent at each fixed loop count, with 95 % intervals, in all and by difficulty.",
		X: plot.Axis{Label: "loops"}, Y: percentAxis,
	}
	if log {
		c.X.Scale = plot.Log2
	}
	all := plot.Series{Name: "all"}
	var groups []plot.Series
	for i := range points {
		p := &points[i]
		if !p.fixed() {
			continue
		}
		x := float64(p.Setting.Loops)
		all.Points = append(all.Points, accuracyAt(x, p.Group))
		for _, g := range p.Groups {
			at := slices.IndexFunc(groups, func(s plot.Series) bool { return s.Name == g.Name })
			if at < 0 {
				at = len(groups)
				groups = append(groups, plot.Series{Name: g.Name, Dashed: true})
			}
			groups[at].Points = append(groups[at].Points, plot.Point{X: x, Y: g.Accuracy()})
		}
	}
	c.Series = []plot.Series{all}
	if len(groups) > 1 {
		c.Series = append(c.Series, groups...)
	}
	return c.SVG()
}

var percentAxis = plot.Axis{Label: "exact answers, %", Min: 0, Max: 100}

func accuracyAt(x float64, g Group) plot.Point {
	low, high := g.Interval()
	return plot.Point{X: x, Y: g.Accuracy(), Low: low, High: high}
}

// PolicyPlot is accuracy against the loops that were run per token: fixed depths, and each policy's thresholds.
func PolicyPlot(model string, points []Point) []byte {
	c := &plot.Chart{
		Title: "Accuracy against mean loops: " + model,
		Desc:  "Exact answers in percent against loops per token, for fixed depths and for exit policies at several thresholds.",
		X:     plot.Axis{Label: "mean loops per token", Zero: true}, Y: percentAxis,
	}
	at := map[loopctl.ExitKind]int{}
	for i := range points {
		p := &points[i]
		if p.Setting.Draft > 0 {
			continue
		}
		kind := p.Setting.Exit.Kind
		n, ok := at[kind]
		if !ok {
			n = len(c.Series)
			at[kind] = n
			name := "fixed loops"
			if kind != loopctl.ExitNone {
				name = kind.String()
			}
			c.Series = append(c.Series, plot.Series{Name: name})
		}
		c.Series[n].Points = append(c.Series[n].Points, accuracyAt(p.MeanLoops(), p.Group))
	}
	for i := range c.Series {
		slices.SortStableFunc(c.Series[i].Points, func(a, b plot.Point) int { return cmp.Compare(a.X, b.X) })
	}
	return c.SVG()
}

// DifficultyPlot is the mean loops that each difficulty's answers took, for the two cheapest thresholds of each policy
// that stay within two points of the best (or for all, where none does), at most eight. Groups stand in the order of the
// problems.
func DifficultyPlot(model string, points []Point) []byte {
	c := &plot.Chart{
		Title: "Loops by difficulty: " + model, Desc: "Mean loops per token that exit policies gave to each group of problems.",
		X: plot.Axis{Label: "difficulty"}, Y: plot.Axis{Label: "mean loops per token", Zero: true},
	}
	for _, p := range worthy(points) {
		s := plot.Series{Name: p.Setting.Name()}
		for n, g := range p.Groups {
			s.Points = append(s.Points, plot.Point{X: float64(n + 1), Y: g.MeanLoops()})
			if len(c.Series) == 0 {
				c.X.Names = append(c.X.Names, g.Name)
			}
		}
		c.Series = append(c.Series, s)
	}
	return c.SVG()
}

func worthy(points []Point) []*Point {
	const most, each, loss = 8, 2, 2
	best := 0.0
	for i := range points {
		best = max(best, points[i].Accuracy())
	}
	var all, good []*Point
	for i := range points {
		if p := &points[i]; p.policy() {
			all = append(all, p)
			if p.Accuracy() >= best-loss {
				good = append(good, p)
			}
		}
	}
	if len(good) == 0 {
		return all[:min(len(all), most)]
	}
	slices.SortStableFunc(good, func(a, b *Point) int { return cmp.Compare(a.MeanLoops(), b.MeanLoops()) })
	taken := map[loopctl.ExitKind]int{}
	good = slices.DeleteFunc(good, func(p *Point) bool { taken[p.Setting.Exit.Kind]++; return taken[p.Setting.Exit.Kind] > each })
	return good[:min(len(good), most)]
}
