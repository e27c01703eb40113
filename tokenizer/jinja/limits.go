package jinja

// Limits bounds what one template may cost. A zero field means its default.
//
// Steps, Memory and Output are the allowance of a render with small variables; each grows in proportion to the variables
// (see newRender), because a long conversation honestly needs more work than a short one, while a hostile template gets
// no more out of a short one.
type Limits struct {
	Source  int   // bytes of template source; default 256 KiB
	Nesting int   // nested brackets, operators and blocks at parse; default 128
	Depth   int   // nested evaluations at run, macro calls included; default 800
	Steps   int64 // units of work: about one node visited or 64 bytes handled; default 150,000
	Memory  int64 // bytes of strings and lists made during a render, freed or not; default 12 MiB
	Output  int64 // bytes of rendered text; default 4 MiB
	Range   int   // elements of one range(); default 100,000, as Jinja's sandbox has it
}

// Growth of a budget per unit of the variables' size. A chat template touches a message some hundred times and copies
// its text about ten times.
const (
	stepsPerValue   = 400
	memoryPerByte   = 32
	memoryPerValue  = 512
	outputPerByte   = 6
	stepsPerSixteen = 8 // steps per 16 bytes of variables
)

func (l Limits) withDefaults() Limits {
	l.Source = orDefault(l.Source, 256<<10)
	l.Nesting = orDefault(l.Nesting, 128)
	l.Depth = orDefault(l.Depth, 800)
	l.Steps = orDefault(l.Steps, 150_000)
	l.Memory = orDefault(l.Memory, 12<<20)
	l.Output = orDefault(l.Output, 4<<20)
	l.Range = orDefault(l.Range, 100_000)
	return l
}

func orDefault[T int | int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}
