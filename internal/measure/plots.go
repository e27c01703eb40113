package measure

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/loopserve/loopserve/internal/plot"
	"github.com/loopserve/loopserve/loopctl"
)

// seriesNamed finds a chart's series, or adds it.
func seriesNamed(list *[]plot.Series, name string) *plot.Series {
	at := slices.IndexFunc(*list, func(s plot.Series) bool { return s.Name == name })
	if at < 0 {
		at = len(*list)
		*list = append(*list, plot.Series{Name: name})
	}
	return &(*list)[at]
}

// mostGroups is how many a plot of latency has room for, each with a line and two entries of the legend.
const mostGroups = 4

// LatencyPlot is end-to-end latency against loops: medians, with a whisker from the least to the 90th percentile, and
// the line through them. Of more groups than there is room for it draws the first ones, and says so.
func (r *SweepResult) LatencyPlot() []byte {
	c := &plot.Chart{
		Title: "Latency against loops: " + r.Model,
		Desc:  "End-to-end latency of a request at each loop count, with the straight line fitted through the medians.",
		X:     plot.Axis{Label: "loops", Zero: true}, Y: plot.Axis{Label: "end-to-end latency, ms", Zero: true},
	}
	all := groups(r.Points)
	if n := len(all); n > mostGroups {
		c.Title += fmt.Sprintf(" (%d of %d groups)", mostGroups, n)
		all = all[:mostGroups]
	}
	for _, g := range all {
		of := &g[0].Shape
		s := plot.Series{NoLine: true, Name: fmt.Sprintf("%s, %d+%d tok", plural(of.Concurrency, "client"), of.PromptTokens, of.MaxTokens)}
		for _, p := range g {
			s.Points = append(s.Points, plot.Point{X: float64(p.Loops), Y: p.E2E.P50, Low: p.E2E.Min, High: p.E2E.P90})
		}
		c.Series = append(c.Series, s)
		for i := range r.Fits {
			f := &r.Fits[i]
			if f.Metric != "e2e" || f.Concurrency != of.Concurrency || f.PromptTokens != of.PromptTokens || f.MaxTokens != of.MaxTokens {
				continue
			}
			l := plot.Series{Name: fmt.Sprintf("%.3g %s %.3g·loops", f.A, f.sign(), math.Abs(f.B)), NoMark: true, Dashed: true}
			for _, x := range []int{f.Residuals[0].Loops, f.Residuals[len(f.Residuals)-1].Loops} {
				l.Points = append(l.Points, plot.Point{X: float64(x), Y: f.A + f.B*float64(x)})
			}
			c.Series = append(c.Series, l)
		}
	}
	return c.SVG()
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// ThroughputPlot is tokens per second against concurrency, a line for each loop count (and each length, where there are
// several).
func (r *SweepResult) ThroughputPlot() []byte {
	c := &plot.Chart{
		Title: "Throughput against concurrency: " + r.Model,
		Desc:  "Tokens per second of all clients together at each number of clients, one line for each loop count.",
		X:     plot.Axis{Label: "clients", Scale: plot.Log2}, Y: plot.Axis{Label: "tokens per second", Zero: true},
	}
	several := slices.ContainsFunc(r.Points, func(p Point) bool {
		return p.PromptTokens != r.Points[0].PromptTokens || p.MaxTokens != r.Points[0].MaxTokens
	})
	for _, p := range r.Points {
		name := plural(p.Loops, "loop")
		if several {
			name += fmt.Sprintf(", %d+%d tok", p.PromptTokens, p.MaxTokens)
		}
		s, t := seriesNamed(&c.Series, name), p.TokensPerSecond
		s.Points = append(s.Points, plot.Point{X: float64(p.Concurrency), Y: t.P50, Low: t.Min, High: t.Max})
	}
	return c.SVG()
}

var percentAxis = plot.Axis{Label: "exact answers, %", Min: 0, Max: 100}

func (p *DepthPoint) at(x float64) plot.Point {
	return plot.Point{X: x, Y: p.Accuracy, Low: p.Low, High: p.High}
}

// AccuracyPlot is accuracy against fixed loops, a line for each group beside the one for all. log takes powers of two as
// the axis.
func (c *Curve) AccuracyPlot(log bool) []byte {
	chart := &plot.Chart{
		Title: "Accuracy against loops: " + c.Model, Desc: "Exact answers in percent at each fixed loop count, with 95 % intervals, in all and by difficulty.",
		X: plot.Axis{Label: "loops"}, Y: percentAxis,
	}
	if log {
		chart.X.Scale = plot.Log2
	}
	all := plot.Series{Name: "all"}
	var groups []plot.Series
	for i := range c.Points {
		p := &c.Points[i]
		if !p.Depth.fixed() {
			continue
		}
		x := float64(p.Loops)
		all.Points = append(all.Points, p.at(x))
		for _, g := range p.Groups {
			s := seriesNamed(&groups, g.Name)
			s.Dashed = true
			s.Points = append(s.Points, plot.Point{X: x, Y: g.Accuracy})
		}
	}
	chart.Series = []plot.Series{all}
	if len(groups) > 1 {
		chart.Series = append(chart.Series, groups...)
	}
	return chart.SVG()
}

// PolicyPlot is accuracy against the loops that were run per token: fixed depths, and each policy's thresholds.
func (c *Curve) PolicyPlot() []byte {
	chart := &plot.Chart{
		Title: "Accuracy against mean loops: " + c.Model,
		Desc:  "Exact answers in percent against loops per token, for fixed depths and for exit policies at several thresholds.",
		X:     plot.Axis{Label: "mean loops per token", Zero: true}, Y: percentAxis,
	}
	for i := range c.Points {
		p := &c.Points[i]
		name := "fixed loops"
		switch {
		case p.Depth.policy():
			name = p.ExitPolicy
		case !p.Depth.fixed():
			continue
		}
		s := seriesNamed(&chart.Series, name)
		s.Points = append(s.Points, p.at(p.MeanLoops))
	}
	for i := range chart.Series {
		slices.SortStableFunc(chart.Series[i].Points, func(a, b plot.Point) int { return cmp.Compare(a.X, b.X) })
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
		s := plot.Series{Name: p.Depth.Name()}
		for n, g := range p.Groups {
			s.Points = append(s.Points, plot.Point{X: float64(n + 1), Y: g.MeanLoops})
			if len(chart.Series) == 0 {
				chart.X.Names = append(chart.X.Names, g.Name)
			}
		}
		chart.Series = append(chart.Series, s)
	}
	return chart.SVG()
}

func worthy(points []DepthPoint) []*DepthPoint {
	const most, each, loss = 8, 2, 2
	best := 0.0
	for i := range points {
		best = max(best, points[i].Accuracy)
	}
	var all, good []*DepthPoint
	for i := range points {
		if p := &points[i]; p.Depth.policy() {
			all = append(all, p)
			if p.Accuracy >= best-loss {
				good = append(good, p)
			}
		}
	}
	if len(good) == 0 {
		return all[:min(len(all), most)]
	}
	slices.SortStableFunc(good, func(a, b *DepthPoint) int { return cmp.Compare(a.MeanLoops, b.MeanLoops) })
	taken := map[loopctl.ExitKind]int{}
	good = slices.DeleteFunc(good, func(p *DepthPoint) bool {
		taken[p.Depth.Exit.Kind]++
		return taken[p.Depth.Exit.Kind] > each
	})
	return good[:min(len(good), most)]
}

// layers is how many a token goes through at so many loops: the loops, where the layers are not known.
func (c *Curve) layers(loops int) int {
	if c.Looped == 0 {
		return loops
	}
	return c.Before + c.Looped*loops + c.After
}

// DepthPlot is accuracy against effective depth, on a logarithmic axis, a line for each model: a looped model beside one
// of as many layers and one of as much depth.
func DepthPlot(curves []*Curve) []byte {
	chart := &plot.Chart{
		Title: "Accuracy against effective depth",
		Desc:  "Exact answers in percent against the number of layers that a token goes through, one line for each model.",
		X:     plot.Axis{Label: "layers applied to a token", Scale: plot.Log2}, Y: percentAxis,
	}
	for _, c := range curves {
		if c.Looped == 0 {
			chart.X.Label = "loops"
		}
		s := plot.Series{Name: c.Model}
		for i := range c.Points {
			if p := &c.Points[i]; p.Depth.fixed() {
				s.Points = append(s.Points, p.at(float64(c.layers(p.Loops))))
			}
		}
		chart.Series = append(chart.Series, s)
	}
	return chart.SVG()
}
