package tokenizer

import (
	"syscall"
	"time"
)

// threadTime is the processor time of the calling thread so far.
func threadTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_THREAD, &u) // fails for no thread that runs
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
