package bench

// Fit is the straight line ms = a + b·loops through the medians at each loop count, by least squares.
type Fit struct {
	Metric       string     `json:"metric"` // e2e, ttft or tpot
	Concurrency  int        `json:"concurrency"`
	PromptTokens int        `json:"prompt_tokens"`
	MaxTokens    int        `json:"max_tokens"`
	A            float64    `json:"a_ms"`
	B            float64    `json:"b_ms_per_loop"`
	R2           float64    `json:"r2"` // 1 where two loop counts leave nothing to explain
	Residuals    []Residual `json:"residuals"`
}

// slope is B without its sign, and the sign that joins it to A: a noisy machine can make more loops faster.
func (f *Fit) slope() (sign string, size float64) {
	if f.B < 0 {
		return "−", -f.B
	}
	return "+", f.B
}

// Residual is how far above the line the median at a loop count is.
type Residual struct {
	Loops int     `json:"loops"`
	MS    float64 `json:"ms"`
}

// line fits y = a + b·x. It needs two different x.
func line(x, y []float64) (a, b, r2 float64, ok bool) {
	n := float64(len(x))
	var mx, my float64
	for i := range x {
		mx += x[i] / n
		my += y[i] / n
	}
	var sxx, sxy, syy float64
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
		syy += (y[i] - my) * (y[i] - my)
	}
	if sxx == 0 || len(x) < 2 {
		return 0, 0, 0, false
	}
	b = sxy / sxx
	a = my - b*mx
	if syy == 0 {
		return a, b, 1, true
	}
	left := 0.0
	for i := range x {
		off := y[i] - a - b*x[i]
		left += off * off
	}
	return a, b, 1 - left/syy, true
}

// fits has one line for each metric and each (concurrency, prompt, max tokens) that was swept at two loop counts or
// more: all e2e ones first.
func fits(points []Point) []Fit {
	var out []Fit
	for _, metric := range []struct {
		name string
		of   func(*Point) (float64, bool)
	}{
		{"e2e", func(p *Point) (float64, bool) { return p.E2E.P50, p.E2E.N > 0 }},
		{"ttft", func(p *Point) (float64, bool) { return p.TTFT.P50, p.TTFT.N > 0 }},
		{"tpot", func(p *Point) (float64, bool) { return p.TPOT.P50, p.TPOT.N > 0 }},
	} {
		for _, group := range groups(points) {
			var x, y []float64
			for _, p := range group {
				if v, ok := metric.of(p); ok && p.Loops > 0 {
					x, y = append(x, float64(p.Loops)), append(y, v)
				}
			}
			f := Fit{Metric: metric.name}
			var ok bool
			if f.A, f.B, f.R2, ok = line(x, y); !ok {
				continue
			}
			f.Concurrency, f.PromptTokens, f.MaxTokens = group[0].Concurrency, group[0].PromptTokens, group[0].MaxTokens
			for i := range x {
				f.Residuals = append(f.Residuals, Residual{int(x[i]), y[i] - f.A - f.B*x[i]})
			}
			out = append(out, f)
		}
	}
	return out
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
