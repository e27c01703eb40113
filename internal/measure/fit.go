package measure

import (
	"fmt"
	"math"
	"slices"
)

// Fit is the straight line ms = a + b·loops through the medians at each loop count, by least squares.
type Fit struct {
	Metric string `json:"metric"` // e2e, ttft or tpot
	Load
	A float64 `json:"a_ms"`
	B float64 `json:"b_ms_per_loop"`
	// BLow and BHigh are where the true slope lies with a probability of 95 %, by what the line leaves unexplained; null where
	// two loop counts leave nothing.
	BLow      *float64   `json:"b_low_ms_per_loop"`
	BHigh     *float64   `json:"b_high_ms_per_loop"`
	R2        float64    `json:"r2"` // 1 where two loop counts leave nothing to explain
	Residuals []Residual `json:"residuals"`
	Worst     float64    `json:"-"` // the largest residual, without its sign
}

// Residual is how far above the line the median at a loop count is.
type Residual struct {
	Loops int     `json:"loops"`
	MS    float64 `json:"ms"`
}

// fits has one line for each metric and each load that was swept at two loop counts or more: all e2e ones first.
func fits(points []*Point) []*Fit {
	var out []*Fit
	for _, metric := range []struct {
		name string
		of   func(*Numbers) *Spread
	}{
		{"e2e", func(n *Numbers) *Spread { return &n.E2E }},
		{"ttft", func(n *Numbers) *Spread { return &n.TTFT }},
		{"tpot", func(n *Numbers) *Spread { return &n.TPOT }},
	} {
		for _, load := range loads(points) {
			var x, y []float64
			for _, p := range points {
				if v := metric.of(&p.Numbers); p.Load == load && v.N > 0 && p.Loops > 0 {
					x, y = append(x, float64(p.Loops)), append(y, v.P50)
				}
			}
			if f := leastSquares(x, y); f != nil {
				f.Metric, f.Load = metric.name, load
				out = append(out, f)
			}
		}
	}
	return out
}

// loads are the points' without their loops, in order of first appearance.
func loads(points []*Point) (out []Load) {
	for _, p := range points {
		if !slices.Contains(out, p.Load) {
			out = append(out, p.Load)
		}
	}
	return out
}

// leastSquares fits a line; nil where there are no two different x, which are loops.
func leastSquares(x, y []float64) *Fit {
	mx, my := spreadOf(x).Mean, spreadOf(y).Mean
	var sxx, sxy, syy, left float64
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
		syy += (y[i] - my) * (y[i] - my)
	}
	if sxx == 0 {
		return nil
	}
	f := &Fit{B: sxy / sxx, R2: 1}
	f.A = my - f.B*mx
	for i := range x {
		off := y[i] - f.A - f.B*x[i]
		left += off * off
		f.Residuals, f.Worst = append(f.Residuals, Residual{int(x[i]), off}), max(f.Worst, math.Abs(off))
	}
	if syy > 0 {
		f.R2 = 1 - left/syy
	}
	if freedom := len(x) - 2; freedom > 0 {
		half := student(freedom) * math.Sqrt(left/float64(freedom)/sxx)
		f.BLow, f.BHigh = new(f.B-half), new(f.B+half)
	}
	return f
}

// Line writes a + b·loops by a format of a number, a sign and a number. A noisy machine can make more loops faster: then the
// slope falls.
func (f *Fit) Line(format string) string {
	sign := "+"
	if f.B < 0 {
		sign = "−"
	}
	return fmt.Sprintf(format, f.A, sign, math.Abs(f.B))
}
