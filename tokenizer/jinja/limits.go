package jinja

import "fmt"

// Limits bounds what one template may cost. A zero field means its default.
//
// Steps, Memory and Output are the allowance of a render with small variables;
// each grows in proportion to the variables (see budget), because a long
// conversation honestly needs more work than a short one, while a hostile
// template gets no more out of a short one.
type Limits struct {
	Source  int   // bytes of template source; default 256 KiB
	Nesting int   // nested brackets, operators and blocks at parse; default 128
	Depth   int   // nested evaluations at run, macro calls included; default 800
	Steps   int64 // units of work: about one node visited or 64 bytes handled; default 150,000
	Memory  int64 // bytes of strings and lists made during a render, freed or not; default 12 MiB
	Output  int64 // bytes of rendered text; default 4 MiB
	Range   int   // elements of one range(); default 100,000, as Jinja's sandbox has it
}

// Growth of a budget per unit of the variables' size. A chat template touches
// a message some hundred times and copies its text about ten times.
const (
	stepsPerValue   = 400
	memoryPerByte   = 32
	outputPerByte   = 6
	stepsPerSixteen = 8 // steps per 16 bytes of variables
)

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def64 := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Source, 256<<10)
	def(&l.Nesting, 128)
	def(&l.Depth, 800)
	def64(&l.Steps, 150_000)
	def64(&l.Memory, 12<<20)
	def64(&l.Output, 4<<20)
	def(&l.Range, 100_000)
	return l
}

// LimitError says that a template went over one of its Limits.
type LimitError struct {
	What  string // the Limits field, in lower case
	Limit int64
	Line  int // template line, 0 if unknown
}

func (e *LimitError) Error() string {
	at := ""
	if e.Line > 0 {
		at = fmt.Sprintf(" line %d", e.Line)
	}
	return fmt.Sprintf("template%s: over the limit of %s (%d); simplify the template or raise the limit", at, e.What, e.Limit)
}
