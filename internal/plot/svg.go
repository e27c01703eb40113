package plot

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"
)

// Places in SVG units, as the picture has them. The legend stands at the right, where it never covers a point.
const (
	left, top, bottom     = 70, 46, 386
	rightBare, rightNames = 740, 570
	colours, shapes       = 8, 4
	legendName            = 21 // letters of a name that fit
	legendRows            = 16 // what more there is the marks' titles name
)

//go:embed chart.svg.tmpl
var pictureText string

var picture = template.Must(template.New("chart").Funcs(template.FuncMap{"xml": escape, "at": at}).Parse(pictureText))

// drawing is a chart with everything in its place.
type drawing struct {
	*Chart
	x, y          span
	Right, Middle int
	Rows, Columns []tick
	Drawn, Legend []drawn
}

// tick is a line of the grid and what stands at it.
type tick struct {
	At   float64
	Name string
}

// drawn is a series, with its place in the legend.
type drawn struct {
	Series
	Colour, Shape, Place int
	Path, Short          string // of the line; its name
	Marks                []mark
}

// mark is a point in its place. Low and High are its whisker's ends.
type mark struct {
	X, Y, Low, High float64
	Whisker         bool
	Title           string
}

// SVG is the chart as one file. The same chart gives the same bytes.
func (c *Chart) SVG() []byte {
	d := &drawing{Chart: c, Right: rightBare}
	if len(c.Series) > 1 {
		d.Right = rightNames
	}
	d.Middle = (left + d.Right) / 2
	var xs, ys []float64
	for _, s := range c.Series {
		for _, p := range s.Points {
			xs, ys = append(xs, p.X), append(ys, p.Y)
			if p.whisker() {
				ys = append(ys, p.Low, p.High)
			}
		}
	}
	d.x, d.y = c.X.settle(xs), c.Y.settle(ys)
	for _, v := range d.y.ticks {
		d.Rows = append(d.Rows, tick{d.row(v), shorten(d.y.name(v))})
	}
	for _, v := range d.x.ticks {
		d.Columns = append(d.Columns, tick{d.column(v), shorten(d.x.name(v))})
	}
	for i, s := range c.Series {
		d.Drawn = append(d.Drawn, d.series(i, s))
	}
	if len(c.Series) > 1 {
		d.Legend = d.Drawn[:min(len(d.Drawn), legendRows)]
	}
	var out bytes.Buffer
	_ = picture.Execute(&out, d) // a buffer takes everything, and the tests draw every part
	return out.Bytes()
}

func (d *drawing) column(x float64) float64 { return left + d.x.place(x)*float64(d.Right-left) }

func (d *drawing) row(y float64) float64 { return bottom - d.y.place(y)*(bottom-top) }

func (d *drawing) series(i int, s Series) drawn {
	out := drawn{Series: s, Colour: i % colours, Shape: i % shapes, Place: top + 10 + 22*i, Short: shorten(s.Name)}
	verb := "M"
	for _, p := range s.Points {
		if !d.x.shows(p.X) || !d.y.shows(p.Y) {
			verb = "M" // a gap
			continue
		}
		x, y := d.column(p.X), d.row(p.Y)
		out.Path += fmt.Sprintf("%s%.1f %.1f", verb, x, y)
		verb = "L"
		m := mark{X: x, Y: y, Title: fmt.Sprintf("%s: %s, %s", s.Name, label(p.X), label(round4(p.Y)))}
		if p.whisker() && d.y.shows(p.Low) && d.y.shows(p.High) {
			m.Whisker, m.Low, m.High = true, d.row(p.Low), d.row(p.High)
		}
		out.Marks = append(out.Marks, m)
	}
	return out
}

// at writes a place.
func at(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

func shorten(name string) string {
	if utf8.RuneCountInString(name) <= legendName {
		return name
	}
	return string([]rune(name)[:legendName-1]) + "…"
}

func round4(v float64) float64 {
	out, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64) // it reads what it wrote
	return out
}

func escape(s string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(s)) // a builder takes everything
	return out.String()
}
