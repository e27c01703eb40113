package measure

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"text/template"
)

//go:embed tables.tmpl
var tablesText string

var tables = template.Must(template.New("tables").Funcs(template.FuncMap{
	// opt is a number that nobody may have measured.
	"opt": func(format string, v *float64) string {
		if v == nil {
			return "–"
		}
		return fmt.Sprintf(format, *v)
	},
	"six":      func(v float64) string { return fmt.Sprintf("%.6g", v) },
	"ns":       func(ms float64) float64 { return 1e6 * ms },
	"ratio":    ratio,
	"percent":  func(part float64, whole int) float64 { return 100 * ratio(part, float64(whole)) },
	"words":    func(s string) string { return strings.Join(strings.Fields(s), " ") },
	"policies": func(points []*DepthPoint) bool { return len(those(points, (*DepthPoint).policy)) > 0 },
	// cell is a text as CSV has it.
	"cell": func(s string) string {
		if strings.ContainsAny(s, ",\"\r\n") {
			return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		return s
	},
	// bench keeps of a name what a benchmark's may have in it.
	"bench": func(s string) string {
		return strings.Map(func(r rune) rune {
			if r <= ' ' || r == '/' || r == '=' || r > '~' {
				return '_'
			}
			return r
		}, s)
	},
}).Parse(tablesText))

// The formats of results. JSON and Table, which is for people, are for all; CSV, a line for each point, and the others are a
// sweep's, the last two of them plots as SVG.
const (
	JSON       = "json"
	Table      = "table"
	CSV        = "csv"
	Benchstat  = "benchstat"
	Latency    = "latency"
	Throughput = "throughput"
)

// Write writes a result in a format.
func Write(w io.Writer, format string, result any) error {
	switch format {
	case JSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(result)
	case Latency, Throughput:
		_, err := w.Write(result.(*SweepResult).plot(format))
		return err
	case Table:
		format = reflect.Indirect(reflect.ValueOf(result)).Type().Name()
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	return errors.Join(tables.ExecuteTemplate(columns, format, result), columns.Flush())
}
