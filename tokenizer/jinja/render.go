package jinja

import (
	"cmp"
	"context"
	"strings"
	"time"
)

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
	return Limits{
		Source:  cmp.Or(l.Source, 256<<10),
		Nesting: cmp.Or(l.Nesting, 128),
		Depth:   cmp.Or(l.Depth, 800),
		Steps:   cmp.Or(l.Steps, 150_000),
		Memory:  cmp.Or(l.Memory, 12<<20),
		Output:  cmp.Or(l.Output, 4<<20),
		Range:   cmp.Or(l.Range, 100_000),
	}
}

// render is one run of a template: its budgets and what the template may ask of the world. One goroutine uses it.
type render struct {
	ctx    context.Context //nolint:containedctx // the run's own, looked at now and then
	limits Limits          // those of this run, grown by its variables
	steps  int64           // left
	memory int64           // left
	output int64           // left
	poll   int             // steps until the context is looked at again
	depth  int
	line   int // of the template, where an error now would be
	now    func() time.Time
	vars   *Dict
	out    *strings.Builder
}

func newRender(ctx context.Context, l Limits, vars *Dict, opts Options) *render {
	if vars == nil {
		vars = NewDict()
	}
	values, bytes := measure(vars)
	l.Steps += values*stepsPerValue + bytes/16*stepsPerSixteen
	l.Memory += bytes*memoryPerByte + values*memoryPerValue
	l.Output += bytes * outputPerByte
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &render{
		ctx: ctx, limits: l, steps: l.Steps, memory: l.Memory, output: l.Output, now: opts.Now, vars: vars, out: &strings.Builder{},
	}
}

// measure counts the values in v and the bytes of its strings. Variables are built by FromJSON or by the caller, so they
// are trees of bounded depth.
func measure(v Value) (values, bytes int64) {
	values = 1
	add := func(x Value) {
		n, b := measure(x)
		values += n
		bytes += b
	}
	switch v := v.(type) {
	case string:
		bytes = int64(len(v))
	case *List:
		for _, x := range v.Items {
			add(x)
		}
	case *Dict:
		for _, e := range v.entries {
			add(e.val)
			if key, ok := e.key.(string); ok {
				bytes += int64(len(key))
			}
		}
	}
	return values, bytes
}

// look ends the render if its context has ended.
func (r *render) look() {
	r.poll = 2048
	if r.ctx.Err() != nil {
		panic(stopped{cause: context.Cause(r.ctx)})
	}
}

// step charges n units of work and, now and then, looks at the context.
func (r *render) step(n int) {
	r.steps -= int64(n)
	limit(r.steps < 0, "steps", r.limits.Steps)
	if r.poll -= n; r.poll <= 0 {
		r.look()
	}
}

// work charges for looking at n bytes.
func (r *render) work(n int) { r.step(n / 64) }

// slowWork charges for going through n bytes character by character.
func (r *render) slowWork(n int) { r.step(n / 8) }

// grow charges for n bytes about to be made.
func (r *render) grow(n int64) {
	limit(n < 0 || n > r.memory, "memory", r.limits.Memory)
	r.memory -= n
	r.step(int(n/64) + 1)
}

// growTimes charges for n copies of size bytes; so many that no limit admits them count as 1<<32.
func (r *render) growTimes(size int, n int64) { r.grow(int64(size) * min(max(n, 0), 1<<32)) }

// emit writes rendered text.
func (r *render) emit(s string) {
	r.output -= int64(len(s))
	limit(r.output < 0, "output", r.limits.Output)
	r.work(len(s))
	r.out.WriteString(s)
}

// enter and leave bound the nesting of evaluations. A panic skips leave: it ends the render.
func (r *render) enter() {
	r.depth++
	limit(r.depth > r.limits.Depth, "depth", int64(r.limits.Depth))
}

func (r *render) leave() { r.depth-- }

// scope holds the variables of one block: the template, a loop's turn, a macro's call.
type scope struct {
	parent *scope
	vars   map[string]Value
}

func (r *render) set(s *scope, name string, v Value) {
	r.grow(64)
	if s.vars == nil {
		s.vars = map[string]Value{}
	}
	s.vars[name] = v
}

// lookup resolves a name: block variables, then the caller's variables, then globals.
func (r *render) lookup(s *scope, name string) Value {
	for ; s != nil; s = s.parent {
		if v, ok := s.vars[name]; ok {
			return v
		}
	}
	if v, ok := r.vars.Get(name); ok {
		return v
	}
	if b := globals[name]; b != nil {
		b.check()
		return &function{builtin: b}
	}
	return because("'%s' is undefined", clip(name))
}
