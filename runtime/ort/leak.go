package ort

import (
	"runtime/debug"
	"sync"
)

// trace knows every open native object, and where it was opened once a test asks for that.
var trace tracer

type tracer struct {
	mu     sync.Mutex
	stacks bool
	open   map[any]string
}

func (t *tracer) opened(object any, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[any]string{}
	}
	if t.stacks {
		what += "\n" + string(debug.Stack())
	}
	t.open[object] = what
}

func (t *tracer) closed(object any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, object)
}

// TB is what CheckLeaks needs of a testing.TB.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
}

// CheckLeaks fails the test if it ends with more native objects open (sessions, calls, buffers, environments, ONNX
// Runtime's values) than it began with, and says where each was opened. Tests of one process that run in parallel can't use it.
func CheckLeaks(t TB) {
	t.Helper()
	trace.mu.Lock()
	defer trace.mu.Unlock()
	trace.stacks = true
	before := map[any]bool{}
	for o := range trace.open {
		before[o] = true
	}
	values := liveValues()
	t.Cleanup(func() {
		trace.mu.Lock()
		defer trace.mu.Unlock()
		for o, what := range trace.open {
			if !before[o] {
				t.Errorf("left open: %s", what)
			}
		}
		if n := liveValues() - values; n > 0 {
			t.Errorf("left open: %d ONNX Runtime values", n)
		}
	})
}
