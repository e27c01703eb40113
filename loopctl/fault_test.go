package loopctl_test

import (
	"errors"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// errInjected is what failAt's call returns.
var errInjected = errors.New("injected fault")

// failAt is a Fault that fails the nth call of a stage.
func failAt(stage loopctl.Stage, nth int) func(loopctl.Stage, int) error {
	return func(s loopctl.Stage, n int) error {
		if s == stage && n == nth {
			return errInjected
		}
		return nil
	}
}

// panicAt is a Fault that panics in the nth call of a stage, as a native library's binding may.
func panicAt(stage loopctl.Stage, nth int) func(loopctl.Stage, int) error {
	return func(s loopctl.Stage, n int) error {
		if s == stage && n == nth {
			panic(errInjected)
		}
		return nil
	}
}

// slowly is a Fault that makes each call of a stage take that long.
func slowly(stage loopctl.Stage, d time.Duration) func(loopctl.Stage, int) error {
	return func(s loopctl.Stage, _ int) error {
		if s == stage {
			time.Sleep(d)
		}
		return nil
	}
}
