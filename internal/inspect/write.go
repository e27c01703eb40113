package inspect

import (
	_ "embed"
	"fmt"
	"io"
	"text/template"
)

//go:embed page.tmpl
var pageText string

// Write prints the facts as a page.
func (f *Facts) Write(w io.Writer) error {
	page := template.Must(template.New("page").Funcs(template.FuncMap{"count": count, "size": size}).Parse(pageText))
	return page.Execute(w, f)
}

// Depth is the layers that a token goes through at the default number of loops.
func (f *Facts) Depth() int {
	return f.Stages[0].Layers + f.Loops.Default*f.Stages[1].Layers + f.Stages[2].Layers
}

// EachLoop is one loop with its attention.
func (f FLOPs) EachLoop() int64 { return f.Loop + f.LoopAttention }

// count is a number with a thousand's suffix.
func count(n int64) string { return scaled(n, 1000, "", " k", " M", " G", " T", " P") }

// size is bytes in binary units.
func size(n int64) string { return scaled(n, 1024, " B", " KiB", " MiB", " GiB", " TiB", " PiB") }

func scaled(n, base int64, units ...string) string {
	if n < base {
		return fmt.Sprintf("%d%s", n, units[0])
	}
	v, unit := float64(n), 0
	for v >= float64(base) && unit < len(units)-1 {
		v /= float64(base)
		unit++
	}
	return fmt.Sprintf("%.3g%s", v, units[unit])
}
