package bundle

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Problem is one thing that a graph lacks, in words for who made it by hand.
type Problem struct {
	What   string // what is wrong
	Want   string // type, shape and meaning of what should be there; "" where that is no question
	Remedy string
}

// Error is the three in one line.
func (p *Problem) Error() string {
	if p.Want == "" {
		return p.What + "; " + p.Remedy
	}
	return p.What + ": want " + p.Want + "; " + p.Remedy
}

// Write prints the problem on up to three lines, each after indent.
func (p *Problem) Write(w io.Writer, indent string) {
	fmt.Fprintf(w, "%s%s\n", indent, p.What)
	if p.Want != "" {
		fmt.Fprintf(w, "%s  want:   %s\n", indent, p.Want)
	}
	fmt.Fprintf(w, "%s  remedy: %s\n", indent, p.Remedy)
}

// GraphError says what is wrong with one of the graphs. It is ErrGraph to errors.Is.
type GraphError struct {
	File string
	Err  error
}

// Error names the file.
func (e *GraphError) Error() string { return fmt.Sprintf("%v: %s: %v", ErrGraph, e.File, e.Err) }

// Unwrap gives ErrGraph and what is wrong.
func (e *GraphError) Unwrap() []error { return []error{ErrGraph, e.Err} }

// Problems are those inside an error, in order; nil where it has none.
func Problems(err error) []*Problem { return all[*Problem](err) }

// GraphErrors are those inside an error, in order; nil where it has none.
func GraphErrors(err error) []*GraphError { return all[*GraphError](err) }

// all walks the tree of errors, where errors.As would stop at the first.
func all[T error](err error) []T {
	if e, ok := err.(T); ok { //nolint:errorlint // the walk is this function
		return []T{e}
	}
	var out []T
	switch e := err.(type) { //nolint:errorlint // the walk is this function
	case interface{ Unwrap() error }:
		return all[T](e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			out = append(out, all[T](inner)...)
		}
	}
	return out
}

// want is the port in words.
func (p port) want() string { return fmt.Sprintf("%s %s, %s", elemNames[p.elem], p.form, p.why) }

// missing is the problem of a port that the graph does not have. unknown are its ports that the contract does not name:
// one of them that would do is perhaps it, and is left out of the rest.
func (p port) missing(what string, unknown []tensorInfo) (problem *Problem, rest []tensorInfo) {
	remedy := fmt.Sprintf("give the graph an %s of that name (torch.onnx.export: %s_names)", what, what)
	if i := slices.IndexFunc(unknown, func(v tensorInfo) bool { return p.differs(v) == "" }); i >= 0 {
		remedy = fmt.Sprintf("the %s %s would do: name it %s (torch.onnx.export: %s_names)", what, unknown[i].name, p.name, what)
		unknown = slices.Delete(unknown, i, i+1)
	}
	return &Problem{fmt.Sprintf("the %s %s is missing", what, p.name), p.want(), remedy}, unknown
}

// remedy says what to do about a port that is there and differs.
func (p port) remedy(v tensorInfo) string {
	if v.elem != p.elem {
		return fmt.Sprintf("cast it in the graph, or export with an example of %s", elemNames[p.elem])
	}
	if !v.ranked || len(v.dims) != len(p.dims) {
		return fmt.Sprintf("export with an example of %d dimensions, %s", len(p.dims), p.form)
	}
	names := strings.Split(strings.Trim(p.form, "[]"), ", ")
	var axes []string
	for i, want := range p.dims {
		got := v.dims[i]
		if want == dynamic && got != dynamic || want == dynamicOrOne && got != dynamic && got != 1 {
			axes = append(axes, fmt.Sprintf("%d: %q", i, names[i]))
		}
	}
	if len(axes) > 0 {
		return fmt.Sprintf("export again with dynamic_shapes={%q: {%s}}", p.name, strings.Join(axes, ", "))
	}
	return "correct the graph, or the size in " + FileName + ": one of them is wrong"
}
