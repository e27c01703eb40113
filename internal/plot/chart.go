package plot

import "math"

// Scale is how an axis turns values into places.
type Scale uint8

// The scales. A logarithmic one leaves out what is not above zero.
const (
	Linear Scale = iota
	Log10
	Log2 // ticks at powers of two: loop counts
)

// Axis is one of a chart's two.
type Axis struct {
	Label string // with its unit
	Scale Scale
	Zero  bool // a linear axis begins at 0
	// Min and Max, where not both 0, are the range instead of the points'.
	Min, Max float64
	// Names stand at 1, 2, … instead of ticks, where there are any.
	Names []string
}

// Point is one value. Low and High, where not both 0, are drawn as a whisker.
type Point struct{ X, Y, Low, High float64 }

// Series is a named set of points, in the order in which a line joins them.
type Series struct {
	Name   string
	Points []Point
	NoLine bool // marks alone
	NoMark bool // the line alone
	Dashed bool
}

// Chart is one plot.
type Chart struct {
	Title string
	Desc  string // for screen readers: what the chart shows, in a sentence
	X, Y  Axis
	// Series are told apart by colour and mark; beyond eight they repeat.
	Series []Series
}

// span is an axis with its range settled.
type span struct {
	Axis
	lo, hi float64
	ticks  []float64
}

// settle finds the range of the values that at gives of each point.
func (a Axis) settle(c *Chart, at func(Point) []float64) span {
	s := span{Axis: a, lo: math.Inf(1), hi: math.Inf(-1)}
	for _, series := range c.Series {
		for _, p := range series.Points {
			for _, v := range at(p) {
				if a.shows(v) {
					s.lo, s.hi = math.Min(s.lo, v), math.Max(s.hi, v)
				}
			}
		}
	}
	if len(a.Names) > 0 {
		s.lo, s.hi = 0.6, float64(len(a.Names))+0.4
		for i := range a.Names {
			s.ticks = append(s.ticks, float64(i+1))
		}
		return s
	}
	if a.Min != 0 || a.Max != 0 {
		s.lo, s.hi = a.Min, a.Max
	}
	if s.lo > s.hi { // nothing to show: an empty chart is still a chart
		s.lo, s.hi = 1, 10
	}
	if a.Zero && a.Scale == Linear {
		s.lo, s.hi = math.Min(s.lo, 0), math.Max(s.hi, 0)
	}
	s.widen()
	return s
}

// shows says whether a value has a place on the axis.
func (a Axis) shows(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (a.Scale == Linear || v > 0)
}

// widen moves the ends to ticks, where that costs little, and lists the ticks.
func (s *span) widen() {
	if s.Scale != Linear {
		if s.lo <= 0 { // given by Min, or by nothing but values that are not shown
			s.lo = s.hi / 10
		}
		if s.lo == s.hi {
			s.lo, s.hi = s.lo/2, s.hi*2
		}
		if s.Scale == Log10 && s.Min == 0 && s.Max == 0 {
			s.lo, s.hi = niceBelow(s.lo), 1/niceBelow(1/s.hi)
		}
		s.ticks = logTicks(s.lo, s.hi, s.Scale)
		return
	}
	if s.lo == s.hi {
		s.lo, s.hi = s.lo-1, s.hi+1
	}
	step := niceStep(s.hi - s.lo)
	if s.Min == 0 && s.Max == 0 {
		s.lo, s.hi = math.Floor(s.lo/step)*step, math.Ceil(s.hi/step)*step
	}
	for i := math.Ceil(s.lo/step - 1e-9); i*step <= s.hi+step*1e-9; i++ {
		s.ticks = append(s.ticks, i*step)
	}
}

// place is where a value lies, 0 at the low end and 1 at the high one.
func (s *span) place(v float64) float64 {
	if s.Scale == Linear {
		return (v - s.lo) / (s.hi - s.lo)
	}
	return math.Log(v/s.lo) / math.Log(s.hi/s.lo)
}

// name is what stands at a tick.
func (s *span) name(v float64) string {
	if i := int(v) - 1; i >= 0 && i < len(s.Names) {
		return s.Names[i]
	}
	return label(v)
}
