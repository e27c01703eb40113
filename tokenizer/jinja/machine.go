package jinja

import (
	"context"
	"time"
)

// machine is one render: its budgets and what the template may ask of the
// world. It is used by one goroutine.
type machine struct {
	done   <-chan struct{}
	cause  func() error
	limits Limits
	steps  int64 // left
	memory int64 // left
	output int64 // left
	poll   int   // steps until the context is looked at again
	depth  int
	now    func() time.Time
	vars   *Dict
}

func newMachine(ctx context.Context, l Limits, vars *Dict, now func() time.Time) *machine {
	values, bytes := measure(vars, 0)
	l.Steps += values*stepsPerValue + bytes/16*stepsPerSixteen
	l.Memory += bytes*memoryPerByte + values*memoryPerByte*16
	l.Output += bytes * outputPerByte
	return &machine{
		done: ctx.Done(), cause: func() error { return context.Cause(ctx) }, limits: l,
		steps: l.Steps, memory: l.Memory, output: l.Output, now: now, vars: vars,
	}
}

// measure counts the values in v and the bytes of its strings. Variables are
// built by FromJSON or by the caller, so they are trees of bounded depth.
func measure(v Value, depth int) (values, bytes int64) {
	if depth > maxJSONDepth {
		return 1, 0
	}
	add := func(x Value) {
		n, b := measure(x, depth+1)
		values += n
		bytes += b
	}
	values = 1
	switch v := v.(type) {
	case string:
		bytes = int64(len(v))
	case *List:
		for _, x := range v.Items {
			add(x)
		}
	case *Tuple:
		for _, x := range v.Items {
			add(x)
		}
	case *Dict:
		if v == nil {
			return 0, 0
		}
		for i, x := range v.vals {
			if s, ok := v.keys[i].(string); ok {
				bytes += int64(len(s))
			}
			add(x)
		}
	}
	return values, bytes
}

// step charges n units of work and, now and then, looks at the context.
func (m *machine) step(n int) error {
	m.steps -= int64(n)
	if m.steps < 0 {
		return &LimitError{What: "steps", Limit: m.limits.Steps}
	}
	m.poll -= n
	if m.poll <= 0 {
		m.poll = 2048
		select {
		case <-m.done:
			return m.cause()
		default:
		}
	}
	return nil
}

// work charges for looking at n bytes.
func (m *machine) work(n int) error {
	if n < 64 {
		return nil
	}
	return m.step(n / 64)
}

// slowWork charges for going through n bytes character by character.
func (m *machine) slowWork(n int) error { return m.step(n / 8) }

// grow charges for n bytes about to be made.
func (m *machine) grow(n int64) error {
	if n < 0 || n > m.memory {
		return &LimitError{What: "memory", Limit: m.limits.Memory}
	}
	m.memory -= n
	return m.step(int(n/64) + 1)
}

// emit charges for n bytes of rendered text.
func (m *machine) emit(n int) error {
	m.output -= int64(n)
	if m.output < 0 {
		return &LimitError{What: "output", Limit: m.limits.Output}
	}
	return m.work(n)
}

func (m *machine) enter() error {
	m.depth++
	if m.depth > m.limits.Depth {
		m.depth-- // the caller returns without leave
		return &LimitError{What: "depth", Limit: int64(m.limits.Depth)}
	}
	return nil
}

func (m *machine) leave() { m.depth-- }
