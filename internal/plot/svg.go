package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Sizes in SVG units. The legend stands at the right, where it never covers a point.
const (
	width, height         = 760, 440
	left, top, bottom     = 70, 46, 54
	rightBare, rightNames = 20, 190
	legendName            = 21 // letters of a name that fit
)

// colours of the series, for light and for dark paper: Okabe and Ito's, which colour-blind readers tell apart, the
// palest darkened on white.
var colours = [...]struct{ light, dark string }{
	{"#0072b2", "#56b4e9"},
	{"#d55e00", "#ff8c42"},
	{"#009e73", "#2fd3a5"},
	{"#aa4499", "#e191cf"},
	{"#8a6d00", "#f0e442"},
	{"#332288", "#9a8cff"},
	{"#882255", "#ff7fa5"},
	{"#555555", "#bbbbbb"},
}

// SVG is the chart as one file. The same chart gives the same bytes.
func (c *Chart) SVG() []byte {
	x := c.X.settle(c, func(p Point) []float64 { return []float64{p.X} })
	y := c.Y.settle(c, func(p Point) []float64 {
		if p.Low == 0 && p.High == 0 {
			return []float64{p.Y}
		}
		return []float64{p.Y, p.Low, p.High}
	})
	right := rightBare
	if len(c.Series) > 1 {
		right = rightNames
	}
	d := &drawing{x: x, y: y, w: float64(width - left - right), h: float64(height - top - bottom)}
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="plot-title plot-desc" class="plot">`+"\n",
		width, height, width, height)
	d.printf("<title id=\"plot-title\">%s</title>\n<desc id=\"plot-desc\">%s</desc>\n", escape(c.Title), escape(c.Desc))
	d.style(len(c.Series))
	d.printf(`<rect class="paper" width="%d" height="%d"/>`+"\n", width, height)
	d.printf(`<text class="head" x="%d" y="26">%s</text>`+"\n", left, escape(c.Title))
	d.axes()
	for i := range c.Series {
		d.series(i, &c.Series[i])
	}
	if len(c.Series) > 1 {
		d.legend(c.Series)
	}
	d.printf("</svg>\n")
	return d.buf.Bytes()
}

type drawing struct {
	buf  bytes.Buffer
	x, y span
	w, h float64 // of the area inside the axes
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.buf, format, args...) }

func (d *drawing) at(px, py float64) (float64, float64) {
	return left + d.x.place(px)*d.w, top + (1-d.y.place(py))*d.h
}

// style spells every rule out instead of using CSS variables, which converters to other formats do not know.
func (d *drawing) style(series int) {
	d.printf("<style>\n.plot{font:12px system-ui,sans-serif}.paper{fill:#fff}.plot text{fill:#1f2328}.plot .head{font-size:15px;font-weight:600}" +
		".grid{stroke:#d8dee4;stroke-width:1}.axis{stroke:#57606a;stroke-width:1;fill:none}.line{fill:none;stroke-width:2;stroke-linejoin:round}.whisker{stroke-width:1.2;opacity:.7}\n")
	n := min(series, len(colours))
	for i := range n {
		d.printf(".s%d{stroke:%s}.m%d{fill:%s}", i, colours[i].light, i, colours[i].light)
	}
	d.printf("\n@media (prefers-color-scheme:dark){.paper{fill:#0d1117}.plot text{fill:#e6edf3}.grid{stroke:#30363d}.axis{stroke:#8b949e}")
	for i := range n {
		d.printf(".s%d{stroke:%s}.m%d{fill:%s}", i, colours[i].dark, i, colours[i].dark)
	}
	d.printf("}\n</style>\n")
}

func (d *drawing) axes() {
	for _, v := range d.y.ticks {
		_, py := d.at(d.x.lo, v)
		d.printf(`<line class="grid" x1="%d" x2="%.1f" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, left+d.w, py, py, left-8, py+4, escape(shorten(d.y.name(v))))
	}
	for _, v := range d.x.ticks {
		px, _ := d.at(v, d.y.lo)
		d.printf(`<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%.1f"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n",
			px, px, top, top+d.h, px, top+d.h+18, escape(shorten(d.x.name(v))))
	}
	d.printf(`<path class="axis" d="M%d %dV%.1fH%.1f"/>`+"\n", left, top, top+d.h, left+d.w)
	d.printf(`<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", left+d.w/2, height-12, escape(d.x.Label))
	d.printf(`<text transform="translate(18 %.1f) rotate(-90)" text-anchor="middle">%s</text>`+"\n", top+d.h/2, escape(d.y.Label))
}

func (d *drawing) series(i int, s *Series) {
	colour := i % len(colours)
	d.printf("<g>")
	if !s.NoLine {
		d.line(colour, s)
	}
	for _, p := range s.Points {
		if !d.x.shows(p.X) || !d.y.shows(p.Y) {
			continue
		}
		px, py := d.at(p.X, p.Y)
		if (p.Low != 0 || p.High != 0) && d.y.shows(p.Low) && d.y.shows(p.High) {
			_, low := d.at(p.X, p.Low)
			_, high := d.at(p.X, p.High)
			d.printf(`<path class="whisker s%d" d="M%.1f %.1fV%.1fM%.1f %.1fh6M%.1f %.1fh6"/>`, colour, px, low, high, px-3, low, px-3, high)
		}
		if !s.NoMark {
			d.printf(`<path class="m%d" d="%s"><title>%s: %s, %s</title></path>`, colour, mark(i, px, py), escape(s.Name), label(p.X), label(round4(p.Y)))
		}
	}
	d.printf("</g>\n")
}

func (d *drawing) line(colour int, s *Series) {
	var path bytes.Buffer
	verb := byte('M')
	for _, p := range s.Points {
		if !d.x.shows(p.X) || !d.y.shows(p.Y) {
			verb = 'M' // a gap
			continue
		}
		px, py := d.at(p.X, p.Y)
		fmt.Fprintf(&path, "%c%.1f %.1f", verb, px, py)
		verb = 'L'
	}
	d.stroke(colour, s, path.String())
}

func (d *drawing) stroke(colour int, s *Series, path string) {
	dash := ""
	if s.Dashed {
		dash = ` stroke-dasharray="6 4"`
	}
	d.printf(`<path class="line s%d"%s d="%s"/>`, colour, dash, path)
}

// mark is the outline of a series' mark: circle, square, triangle, diamond, in turn.
func mark(i int, x, y float64) string {
	switch i % 4 {
	case 0:
		return fmt.Sprintf("M%.1f %.1fa4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", x-4, y)
	case 1:
		return fmt.Sprintf("M%.1f %.1fh7v7h-7z", x-3.5, y-3.5)
	case 2:
		return fmt.Sprintf("M%.1f %.1fl4.5 8h-9z", x, y-5)
	default:
		return fmt.Sprintf("M%.1f %.1fl5 5l-5 5l-5 -5z", x, y-5)
	}
}

func (d *drawing) legend(series []Series) {
	x := left + d.w + 18
	for i, s := range series {
		y := float64(top + 10 + 22*i)
		if y > top+d.h {
			break // the rest is named by the marks' titles
		}
		colour := i % len(colours)
		if !s.NoLine {
			d.stroke(colour, &s, fmt.Sprintf("M%.1f %.1fh22", x, y))
		}
		if !s.NoMark {
			d.printf(`<path class="m%d" d="%s"/>`, colour, mark(i, x+11, y))
		}
		d.printf(`<text x="%.1f" y="%.1f">%s</text>`+"\n", x+30, y+4, escape(shorten(s.Name)))
	}
}

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
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(s)) // a buffer takes everything
	return out.String()
}
