//go:build !unix

package tokenizer_test

import "time"

var began = time.Now()

// cpuTime stands in by the clock where processor time is not to be had.
func cpuTime() time.Duration { return time.Since(began) }
