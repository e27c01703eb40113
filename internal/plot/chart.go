package plot

import (
	"math"
	"strconv"
)

// Axis is one of a chart's two.
type Axis struct {
	Label string  // with its unit
	Log2  bool    // logarithmic, with ticks at powers of two: loop counts. What is not above zero is left out
	Zero  bool    // a linear axis begins at 0
	Max   float64 // where not 0, a linear axis goes from 0 to it, wherever the points are
	// Names stand at 1, 2, … instead of ticks, where there are any.
	Names []string
}

// Point is one value. Low and High, where not both 0, are drawn as a whisker.
type Point struct{ X, Y, Low, High float64 }

func (p Point) whisker() bool { return p.Low != 0 || p.High != 0 }

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

// Add adds points to the series of a name, which it makes where there is none.
func (c *Chart) Add(name string, points ...Point) *Series {
	for i := range c.Series {
		if s := &c.Series[i]; s.Name == name {
			s.Points = append(s.Points, points...)
			return s
		}
	}
	c.Series = append(c.Series, Series{Name: name, Points: points})
	return &c.Series[len(c.Series)-1]
}

// span is an axis with its range settled.
type span struct {
	Axis
	lo, hi float64
	ticks  []float64
}

// settle finds the range of the values, moves its ends to ticks, where that costs little, and lists the ticks.
func (a Axis) settle(values []float64) span {
	s := span{Axis: a, lo: math.Inf(1), hi: math.Inf(-1)}
	for _, v := range values {
		if a.shows(v) {
			s.lo, s.hi = min(s.lo, v), max(s.hi, v)
		}
	}
	if s.lo > s.hi { // nothing to show: an empty chart is still a chart
		s.lo, s.hi = 1, 10
	}
	switch {
	case len(a.Names) > 0:
		s.lo, s.hi = 0.6, float64(len(a.Names))+0.4
		for i := range a.Names {
			s.ticks = append(s.ticks, float64(i+1))
		}
	case a.Log2:
		if s.lo == s.hi {
			s.lo, s.hi = s.lo/2, s.hi*2
		}
		for v := math.Exp2(math.Ceil(math.Log2(s.lo))); v <= s.hi; v *= 2 {
			s.ticks = append(s.ticks, v)
		}
	default:
		s.linear()
	}
	return s
}

func (s *span) linear() {
	if s.Max != 0 {
		s.lo, s.hi = 0, s.Max
	}
	if s.Zero {
		s.lo, s.hi = min(s.lo, 0), max(s.hi, 0)
	}
	if s.lo == s.hi {
		s.lo, s.hi = s.lo-1, s.hi+1
	}
	step := niceStep(s.hi - s.lo)
	if s.Max == 0 {
		s.lo, s.hi = math.Floor(s.lo/step)*step, math.Ceil(s.hi/step)*step
	}
	for i := math.Ceil(s.lo/step - 1e-9); i*step <= s.hi+step*1e-9; i++ {
		s.ticks = append(s.ticks, i*step)
	}
}

// niceStep is the distance of ticks, 1, 2 or 5 times a power of ten, that gives five to ten of them.
func niceStep(width float64) float64 {
	rough := width / 6
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, m := range []float64{1, 2, 5} {
		if rough <= m*power*1.0000001 {
			return m * power
		}
	}
	return 10 * power
}

// shows says whether a value has a place on the axis.
func (a Axis) shows(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!a.Log2 || v > 0)
}

// place is where a value lies, 0 at the low end and 1 at the high one.
func (s *span) place(v float64) float64 {
	if s.Log2 {
		return math.Log(v/s.lo) / math.Log(s.hi/s.lo)
	}
	return (v - s.lo) / (s.hi - s.lo)
}

// name is what stands at a tick.
func (s *span) name(v float64) string {
	if i := int(v) - 1; i >= 0 && i < len(s.Names) {
		return s.Names[i]
	}
	return label(v)
}

// label writes a tick as short as it stays exact among its neighbours.
func label(v float64) string {
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	if a := math.Abs(v); a >= 1e6 || a < 1e-4 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
}
