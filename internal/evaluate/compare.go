package evaluate

import (
	"fmt"

	"github.com/loopserve/loopserve/internal/plot"
)

// Curve is one model's points, to be compared with others'.
type Curve struct {
	Model string
	// Before, Looped and After are the layers of prelude, block and coda; all 0 where nobody knows them.
	Before, Looped, After int
	Points                []Point
}

// Depth is how many layers a token goes through at so many loops: the loops, where the layers are not known.
func (c *Curve) Depth(loops int) int {
	if c.Looped == 0 {
		return loops
	}
	return c.Before + c.Looped*loops + c.After
}

// Title is the model with its layers, in the notation of the looped-transformer papers.
func (c *Curve) Title() string {
	if c.Looped == 0 {
		return c.Model
	}
	return fmt.Sprintf("%s (%d + %d⊗L + %d layers)", c.Model, c.Before, c.Looped, c.After)
}

// DepthPlot is accuracy against effective depth, on a logarithmic axis, a line for each model: a looped model beside one
// of as many layers and one of as much depth.
func DepthPlot(curves []Curve) []byte {
	c := &plot.Chart{
		Title: "Accuracy against effective depth",
		Desc:  "Exact answers in percent against the number of layers that a token goes through, one line for each model.",
		X:     plot.Axis{Label: "layers applied to a token", Scale: plot.Log2}, Y: percentAxis,
	}
	for i := range curves {
		m := &curves[i]
		if m.Looped == 0 {
			c.X.Label = "loops"
		}
		s := plot.Series{Name: m.Model}
		for j := range m.Points {
			if p := &m.Points[j]; p.fixed() {
				s.Points = append(s.Points, accuracyAt(float64(m.Depth(p.Setting.Loops)), p.Group))
			}
		}
		c.Series = append(c.Series, s)
	}
	return c.SVG()
}
