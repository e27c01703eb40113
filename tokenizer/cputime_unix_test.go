//go:build unix

package tokenizer_test

import (
	"syscall"
	"time"
)

// cpuTime is the processor time of this process so far: unlike the clock it
// does not count what else the machine is doing.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
