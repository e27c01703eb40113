package loopctltest

import (
	"errors"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// ErrInjected is what FailAt's call returns.
var ErrInjected = errors.New("injected fault")

// FailAt is a Fault that fails the nth call of a stage.
func FailAt(stage loopctl.Stage, nth int) func(loopctl.Stage, int) error {
	return func(s loopctl.Stage, n int) error {
		if s == stage && n == nth {
			return ErrInjected
		}
		return nil
	}
}

// PanicAt is a Fault that panics in the nth call of a stage, as a native library's binding may.
func PanicAt(stage loopctl.Stage, nth int) func(loopctl.Stage, int) error {
	return func(s loopctl.Stage, n int) error {
		if s == stage && n == nth {
			panic(ErrInjected)
		}
		return nil
	}
}

// Slow is a Fault that makes each call of a stage take that long.
func Slow(stage loopctl.Stage, d time.Duration) func(loopctl.Stage, int) error {
	return func(s loopctl.Stage, _ int) error {
		if s == stage {
			time.Sleep(d)
		}
		return nil
	}
}
