//go:build !linux

package tokenizer

import "time"

var start = time.Now()

// threadTime is the time that has passed: the thread's own is not known here.
func threadTime() time.Duration { return time.Since(start) }
