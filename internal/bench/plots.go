package bench

import (
	"fmt"

	"github.com/loopserve/loopserve/internal/plot"
)

// mostGroups is how many a plot of latency has room for, each with a line and two entries of the legend.
const mostGroups = 4

// LatencyPlot is end-to-end latency against loops: medians, with a whisker from the least to the 90th percentile, and
// the line through them. Of more groups than there is room for it draws the first ones, and says so.
func (r *Result) LatencyPlot() []byte {
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
		s := plot.Series{Name: groupName(g[0].Shape), NoLine: true}
		for _, p := range g {
			s.Points = append(s.Points, plot.Point{X: float64(p.Loops), Y: p.E2E.P50, Low: p.E2E.Min, High: p.E2E.P90})
		}
		c.Series = append(c.Series, s)
		for _, f := range r.Fits {
			if f.Metric != "e2e" || f.Concurrency != g[0].Concurrency || f.PromptTokens != g[0].PromptTokens || f.MaxTokens != g[0].MaxTokens {
				continue
			}
			sign, slope := f.slope()
			l := plot.Series{Name: fmt.Sprintf("%.3g %s %.3g·loops", f.A, sign, slope), NoMark: true, Dashed: true}
			for _, x := range []int{f.Residuals[0].Loops, f.Residuals[len(f.Residuals)-1].Loops} {
				l.Points = append(l.Points, plot.Point{X: float64(x), Y: f.A + f.B*float64(x)})
			}
			c.Series = append(c.Series, l)
		}
	}
	return c.SVG()
}

func groupName(s Shape) string {
	return fmt.Sprintf("%d client%s, %d+%d tok", s.Concurrency, plural(s.Concurrency), s.PromptTokens, s.MaxTokens)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// ThroughputPlot is tokens per second against concurrency, a line for each loop count (and each length, where there are
// several).
func (r *Result) ThroughputPlot() []byte {
	c := &plot.Chart{
		Title: "Throughput against concurrency: " + r.Model,
		Desc:  "Tokens per second of all clients together at each number of clients, one line for each loop count.",
		X:     plot.Axis{Label: "clients", Scale: plot.Log2}, Y: plot.Axis{Label: "tokens per second", Zero: true},
	}
	lengths := map[[2]int]bool{}
	for _, p := range r.Points {
		lengths[[2]int{p.PromptTokens, p.MaxTokens}] = true
	}
	at := map[Shape]int{}
	for _, p := range r.Points {
		key := p.Shape
		key.Concurrency = 0
		i, ok := at[key]
		if !ok {
			i = len(c.Series)
			at[key] = i
			name := fmt.Sprintf("%d loop%s", p.Loops, plural(p.Loops))
			if len(lengths) > 1 {
				name += fmt.Sprintf(", %d+%d tok", p.PromptTokens, p.MaxTokens)
			}
			c.Series = append(c.Series, plot.Series{Name: name})
		}
		t := p.TokensPerSecond
		c.Series[i].Points = append(c.Series[i].Points, plot.Point{X: float64(p.Concurrency), Y: t.P50, Low: t.Min, High: t.Max})
	}
	return c.SVG()
}
