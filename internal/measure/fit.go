package measure

import (
	"fmt"
	"math"
)

// Fit is the straight line ms = a + b·loops through the medians at each loop count, by least squares.
type Fit struct {
	Metric       string  `json:"metric"` // e2e, ttft or tpot
	Concurrency  int     `json:"concurrency"`
	PromptTokens int     `json:"prompt_tokens"`
	MaxTokens    int     `json:"max_tokens"`
	A            float64 `json:"a_ms"`
	B            float64 `json:"b_ms_per_loop"`
	// BLow and BHigh are where the true slope lies with a probability of 95 %, by what the line leaves unexplained; null where
	// two loop counts leave nothing.
	BLow      *float64   `json:"b_low_ms_per_loop"`
	BHigh     *float64   `json:"b_high_ms_per_loop"`
	R2        float64    `json:"r2"` // 1 where two loop counts leave nothing to explain
	Residuals []Residual `json:"residuals"`
}

// Residual is how far above the line the median at a loop count is.
type Residual struct {
	Loops int     `json:"loops"`
	MS    float64 `json:"ms"`
}

// fits has one line for each metric and each (concurrency, prompt, max tokens) that was swept at two loop counts or
// more: all e2e ones first.
func fits(points []Point) []Fit {
	var out []Fit
	for _, metric := range []struct {
		name string
		of   func(*Point) *Spread
	}{
		{"e2e", func(p *Point) *Spread { return &p.E2E }},
		{"ttft", func(p *Point) *Spread { return &p.TTFT }},
		{"tpot", func(p *Point) *Spread { return &p.TPOT }},
	} {
		for _, group := range groups(points) {
			var x, y []float64
			for _, p := range group {
				if v := metric.of(p); v.N > 0 && p.Loops > 0 {
					x, y = append(x, float64(p.Loops)), append(y, v.P50)
				}
			}
			if f, ok := fit(x, y); ok {
				of := &group[0].Shape
				f.Metric, f.Concurrency, f.PromptTokens, f.MaxTokens = metric.name, of.Concurrency, of.PromptTokens, of.MaxTokens
				out = append(out, f)
			}
		}
	}
	return out
}

func fit(loops, y []float64) (f Fit, ok bool) {
	l, ok := lineThrough(loops, y)
	f.A, f.B, f.R2 = l.A, l.B, l.R2
	if !math.IsNaN(l.Half) {
		low, high := l.B-l.Half, l.B+l.Half
		f.BLow, f.BHigh = &low, &high
	}
	for i := range loops {
		f.Residuals = append(f.Residuals, Residual{int(loops[i]), y[i] - l.A - l.B*loops[i]})
	}
	return f, ok
}

// groups are the points that differ in loops alone, in order of first appearance.
func groups(points []Point) [][]*Point {
	var out [][]*Point
	at := map[Shape]int{}
	for i := range points {
		key := points[i].Shape
		key.Loops = 0
		n, ok := at[key]
		if !ok {
			n = len(out)
			at[key] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], &points[i])
	}
	return out
}

// String is the line as people read it. A noisy machine can make more loops faster: then the slope falls.
func (f *Fit) String() string {
	return fmt.Sprintf("%.2f ms %s %.3f ms · loops", f.A, f.sign(), math.Abs(f.B))
}

func (f *Fit) sign() string {
	if f.B < 0 {
		return "−"
	}
	return "+"
}

// quality says how far to trust the line.
func (f *Fit) quality() string {
	slope, worst := "", 0.0
	if f.BLow != nil {
		slope = fmt.Sprintf(", slope %.3f to %.3f with 95 %%", *f.BLow, *f.BHigh)
	}
	for _, r := range f.Residuals {
		worst = max(worst, math.Abs(r.MS))
	}
	return fmt.Sprintf("r² %.4f%s, largest residual %.2f ms; %d clients, %d + %d tokens", f.R2, slope, worst, f.Concurrency, f.PromptTokens, f.MaxTokens)
}
