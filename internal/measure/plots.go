package measure

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/loopserve/loopserve/internal/plot"
	"github.com/loopserve/loopserve/loopctl"
)

// mostGroups is how many a plot of latency has room for, each with a line and two entries of the legend.
const mostGroups = 4

func (r *SweepResult) plot(format string) []byte {
	if format == Latency {
		return r.latencies().SVG()
	}
	return r.throughputs().SVG()
}

// latencies is end-to-end latency against loops: medians, with a whisker from the least to the 90th percentile, and
// the line through them. Of more groups than there is room for it draws the first ones, and says so.
func (r *SweepResult) latencies() *plot.Chart {
	c := &plot.Chart{
		Title: "Latency against loops: " + r.Model,
		Desc:  "End-to-end latency of a request at each loop count, with the straight line fitted through the medians.",
		X:     plot.Axis{Label: "loops", Zero: true}, Y: plot.Axis{Label: "end-to-end latency, ms", Zero: true},
	}
	all := loads(r.Points)
	if n := len(all); n > mostGroups {
		c.Title += fmt.Sprintf(" (%d of %d groups)", mostGroups, n)
		all = all[:mostGroups]
	}
	for _, load := range all {
		name := fmt.Sprintf("%s, %d+%d tok", plural(load.Concurrency, "client"), load.PromptTokens, load.MaxTokens)
		for _, p := range r.Points {
			if p.Load == load {
				c.Add(name, plot.Point{X: float64(p.Loops), Y: p.E2E.P50, Low: p.E2E.Min, High: p.E2E.P90}).NoLine = true
			}
		}
		for _, f := range r.Fits {
			if f.Metric != "e2e" || f.Load != load {
				continue
			}
			l := plot.Series{Name: f.Line("%.3g %s %.3g·loops"), NoMark: true, Dashed: true}
			for _, r := range []Residual{f.Residuals[0], f.Residuals[len(f.Residuals)-1]} {
				x := float64(r.Loops)
				l.Points = append(l.Points, plot.Point{X: x, Y: f.A + f.B*x})
			}
			c.Series = append(c.Series, l)
		}
	}
	return c
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// throughputs is tokens per second against concurrency, a line for each loop count (and each length, where there are
// several).
func (r *SweepResult) throughputs() *plot.Chart {
	c := &plot.Chart{
		Title: "Throughput against concurrency: " + r.Model,
		Desc:  "Tokens per second of all clients together at each number of clients, one line for each loop count.",
		X:     plot.Axis{Label: "clients", Log2: true}, Y: plot.Axis{Label: "tokens per second", Zero: true},
	}
	several := slices.ContainsFunc(r.Points, func(p *Point) bool {
		return p.PromptTokens != r.Points[0].PromptTokens || p.MaxTokens != r.Points[0].MaxTokens
	})
	for _, p := range r.Points {
		name := plural(p.Loops, "loop")
		if several {
			name += fmt.Sprintf(", %d+%d tok", p.PromptTokens, p.MaxTokens)
		}
		t := p.TokensPerSecond
		c.Add(name, plot.Point{X: float64(p.Concurrency), Y: t.P50, Low: t.Min, High: t.Max})
	}
	return c
}

// accuracyChart is a chart of exact answers.
func accuracyChart(title, desc string, x plot.Axis) *plot.Chart {
	return &plot.Chart{Title: title, Desc: desc, X: x, Y: plot.Axis{Label: "exact answers, %", Max: 100}}
}

func (p *DepthPoint) at(x float64) plot.Point {
	return plot.Point{X: x, Y: p.Accuracy, Low: p.Low, High: p.High}
}

// AccuracyPlot is accuracy against fixed loops, a line for each group beside the one for all. log takes powers of two as
// the axis.
func (c *Curve) AccuracyPlot(log bool) []byte {
	chart := accuracyChart("Accuracy against loops: "+c.Model,
		"Exact answers in percent at each fixed loop count, with 95 % intervals, in all and by difficulty.", plot.Axis{Label: "loops", Log2: log})
	for _, p := range those(c.Points, (*DepthPoint).fixed) {
		x := float64(p.Loops)
		chart.Add("all", p.at(x))
		for _, g := range p.Groups {
			if len(p.Groups) > 1 {
				chart.Add(g.Name, plot.Point{X: x, Y: g.Accuracy}).Dashed = true
			}
		}
	}
	return chart.SVG()
}

// PolicyPlot is accuracy against the loops that were run per token: fixed depths, and each policy's thresholds.
func (c *Curve) PolicyPlot() []byte {
	chart := accuracyChart("Accuracy against mean loops: "+c.Model,
		"Exact answers in percent against loops per token, for fixed depths and for exit policies at several thresholds.",
		plot.Axis{Label: "mean loops per token", Zero: true})
	for _, p := range c.Points {
		switch {
		case p.fixed():
			chart.Add("fixed loops", p.at(p.MeanLoops))
		case p.policy():
			chart.Add(p.ExitPolicy, p.at(p.MeanLoops))
		}
	}
	for _, s := range chart.Series {
		slices.SortStableFunc(s.Points, func(a, b plot.Point) int { return cmp.Compare(a.X, b.X) })
	}
	return chart.SVG()
}

// DifficultyPlot is the mean loops that each difficulty's answers took, for the two cheapest thresholds of each policy
// that stay within two points of the best (or for all, where none does), at most eight. Groups stand in the order of the
// problems.
func (c *Curve) DifficultyPlot() []byte {
	chart := &plot.Chart{
		Title: "Loops by difficulty: " + c.Model, Desc: "Mean loops per token that exit policies gave to each group of problems.",
		X: plot.Axis{Label: "difficulty"}, Y: plot.Axis{Label: "mean loops per token", Zero: true},
	}
	for _, p := range worthy(c.Points) {
		for n, g := range p.Groups {
			if len(chart.X.Names) < len(p.Groups) {
				chart.X.Names = append(chart.X.Names, g.Name)
			}
			chart.Add(p.Name(), plot.Point{X: float64(n + 1), Y: g.MeanLoops})
		}
	}
	return chart.SVG()
}

// worthy are the policies that a plot of difficulty shows.
func worthy(points []*DepthPoint) []*DepthPoint {
	const most, each, loss = 8, 2, 2
	best, taken := 0.0, map[loopctl.ExitKind]int{}
	for _, p := range points {
		best = max(best, p.Accuracy)
	}
	policies := those(points, (*DepthPoint).policy)
	good := those(policies, func(p *DepthPoint) bool { return p.Accuracy >= best-loss })
	slices.SortStableFunc(good, byMeanLoops)
	good = those(good, func(p *DepthPoint) bool {
		taken[p.Exit.Kind]++
		return taken[p.Exit.Kind] <= each
	})
	if len(good) == 0 {
		good = policies
	}
	return good[:min(len(good), most)]
}

// DepthPlot is accuracy against effective depth, on a logarithmic axis, a line for each model: a looped model beside one
// of as many layers and one of as much depth. Where the layers are not known, loops stand for them.
func DepthPlot(curves []*Curve) []byte {
	chart := accuracyChart("Accuracy against effective depth",
		"Exact answers in percent against the number of layers that a token goes through, one line for each model.",
		plot.Axis{Label: "layers applied to a token", Log2: true})
	for _, c := range curves {
		each := c.Looped
		if each == 0 {
			chart.X.Label, each = "loops", 1
		}
		for _, p := range those(c.Points, (*DepthPoint).fixed) {
			chart.Add(c.Model, p.at(float64(c.Before+each*p.Loops+c.After)))
		}
	}
	return chart.SVG()
}
