package parity

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// Line is one comparison.
type Line struct {
	What      string  // prompt_1/T_4/logits, …
	Kind      string  // what the summary counts it under: logits, hidden states, gate, …
	MaxDiff   float64 // largest absolute difference of numbers
	Tolerance float64
	Compared  int // integers compared: tokens, exit steps
	Differ    int // how many differ; tokens only where the reference's top two are further apart than 2·tolerance
}

// OK reports whether the line is within tolerance.
func (l Line) OK() bool { return l.MaxDiff <= l.Tolerance && l.Differ == 0 }

// Report is a case's comparisons.
type Report struct {
	Lines []Line
	// Left are the answers of the case that nothing compared, with the reason.
	Left []string
}

// OK reports whether every line is.
func (r Report) OK() bool {
	return len(r.Lines) > 0 && !slices.ContainsFunc(r.Lines, func(l Line) bool { return !l.OK() })
}

// Summary has one line for each kind, in the order of their first appearance: the worst of each.
func (r Report) Summary() []Line {
	var out []Line
	at := map[string]int{}
	for _, l := range r.Lines {
		i, seen := at[l.Kind]
		if !seen {
			i = len(out)
			at[l.Kind] = i
			out = append(out, Line{What: l.Kind, Kind: l.Kind, Tolerance: l.Tolerance})
		}
		s := &out[i]
		s.MaxDiff, s.Tolerance = max(s.MaxDiff, l.MaxDiff), min(s.Tolerance, l.Tolerance)
		s.Compared, s.Differ = s.Compared+l.Compared, s.Differ+l.Differ
	}
	return out
}

// Write prints every comparison as a table, and what was left out.
func (r Report) Write(w io.Writer) {
	writeTable(w, "compared", r.Lines)
	for _, left := range r.Left {
		fmt.Fprintln(w, "not compared:", left)
	}
}

// WriteSummary prints the worst of each kind as a table.
func (r Report) WriteSummary(w io.Writer) { writeTable(w, "worst of", r.Summary()) }

func writeTable(w io.Writer, head string, lines []Line) {
	fmt.Fprintf(w, "| %s | max abs difference | tolerance | equal | |\n|---|---:|---:|---:|---|\n", head)
	for _, l := range lines {
		diff, tolerance, equal, verdict := fmt.Sprintf("%.1e", l.MaxDiff), fmt.Sprintf("%.0e", l.Tolerance), "", "ok"
		if l.Compared > 0 {
			equal = fmt.Sprintf("%d of %d", l.Compared-l.Differ, l.Compared)
			if l.Tolerance == 0 { // integers alone
				diff, tolerance = "", ""
			}
		}
		if !l.OK() {
			verdict = "**differs**"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", l.What, diff, tolerance, equal, verdict)
	}
}

// far is the largest absolute difference; a NaN where the other has none counts as infinite.
func far(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	return farthest(want, func(i int) float64 { return float64(got[i]) })
}

// farthest is far, of numbers that are worked out.
func farthest(want []float32, got func(i int) float64) float64 {
	worst := 0.0
	for i, w := range want {
		worst = max(worst, apart(got(i), float64(w)))
	}
	return worst
}

func apart(got, want float64) float64 {
	if math.IsNaN(got) && math.IsNaN(want) {
		return 0
	}
	if d := math.Abs(got - want); !math.IsNaN(d) {
		return d
	}
	return math.Inf(1)
}
