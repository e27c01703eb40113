//go:build cgo

package export_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
)

var speedOf = flag.String("speed", "", "bundle that TestBundleSpeed measures")

// TestBundleSpeed prints what a bundle takes to load, and how fast one sequence goes at 1 to 4 loops:
//
//	go test ./models/export -run BundleSpeed -v -speed FOLDER
//
// Without a folder there is nothing to measure. It is for what TestBigCheckpoint writes, which has no
// tokenizer and can't be asked over HTTP.
func TestBundleSpeed(t *testing.T) {
	if *speedOf == "" {
		return
	}
	start := time.Now()
	b, err := bundle.Open(*speedOf, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("files hashed and graphs checked in %v; %s", time.Since(start).Round(time.Millisecond), residentMemory(t))
	start = time.Now()
	env := enginetest.Env(t, 2)
	e, err := engine.Open(env, b, engine.Options{PageSize: 16, KVBytes: 2 << 30, Sequence: 1, Context: 256})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	t.Logf("sessions made in %v; %s", time.Since(start).Round(time.Millisecond), residentMemory(t))
	const prefill, decode = 32, 4
	for loops := 1; loops <= 4; loops++ {
		s := newOne(e, loops)
		start = time.Now()
		logits := s.feed(t, somePrompt(prefill, b.Manifest.VocabSize))
		first := time.Since(start)
		next := argmax(logits[prefill-1])
		start = time.Now()
		busy := processorTime(t)
		for range decode {
			next = argmax(s.feed(t, []int32{next})[0])
		}
		each, busy := time.Since(start)/decode, (processorTime(t)-busy)/decode
		t.Logf("%d loops: prefill of %d tokens %.1f tokens/s; decode %.2f tokens/s, %v of processor time a token",
			loops, prefill, prefill/first.Seconds(), 1/each.Seconds(), busy.Round(time.Millisecond))
	}
	t.Log(residentMemory(t))
}

// processorTime is what the process has had, on all cores: on a busy machine it says more than the clock.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMemory is what the process has in memory, and the most it had.
func residentMemory(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "VmHWM") {
			out = append(out, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(out, ", ")
}
