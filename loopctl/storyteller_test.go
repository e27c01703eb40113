package loopctl_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// story writes down what happens, to be read against a golden. Give it to the engine and, as Observer, to the
// controller:
//
//	tick 3
//	  prelude B(0..3)
//	  block   A@2(5) B@0(0..3)
//	  coda    A(5)→17
//	  end     A length
//
// A@2(5) is the row at position 5 of sequence A, which has done 2 loops. A sequence is named by its request's Seed:
// a letter where that is one ('A'), else the number.
type story struct {
	text strings.Builder
	tick strings.Builder // the lines of the tick that goes on

	clock time.Duration
	cost  map[loopctl.Stage]int // of a call, in milliseconds
}

// String is the story so far.
func (s *story) String() string { return s.text.String() + s.tick.String() }

// Call writes a line of rows, those with logits left to Says.
func (s *story) Call(st loopctl.Stage, b *loopctl.Batch) {
	s.clock += time.Duration(s.cost[st]) * time.Millisecond
	fmt.Fprintf(&s.tick, "  %-7s", st)
	if st == loopctl.StageCoda { // says writes the rows that have logits
		for i := range b.Spans {
			if len(b.Spans[i].LogitRows) == 0 {
				fmt.Fprintf(&s.tick, " %s", rows(st, &b.Spans[i]))
			}
		}
	} else {
		for i := range b.Spans {
			fmt.Fprintf(&s.tick, " %s", rows(st, &b.Spans[i]))
		}
	}
	s.tick.WriteByte('\n')
}

// Says adds a row and its token to the line.
func (s *story) Says(span *loopctl.Span, id int) {
	line := strings.TrimSuffix(s.tick.String(), "\n")
	s.tick.Reset()
	fmt.Fprintf(&s.tick, "%s %s→%d\n", line, rows(loopctl.StageCoda, span), id)
}

func rows(st loopctl.Stage, s *loopctl.Span) string {
	name := nameOf(s.Seed)
	if st == loopctl.StageBlock {
		name = fmt.Sprintf("%s@%d", name, s.Depth)
	}
	if len(s.Rows) == 1 {
		return fmt.Sprintf("%s(%d)", name, s.Past)
	}
	return fmt.Sprintf("%s(%d..%d)", name, s.Past, s.Past+len(s.Rows)-1)
}

// nameOf is how the story calls the request with this seed.
func nameOf(seed uint64) string {
	if 'A' <= seed && seed <= 'Z' {
		return string(rune(seed))
	}
	return fmt.Sprint(seed)
}

// Tick puts the tick's number above its lines.
func (s *story) Tick(t *loopctl.TickStats) {
	fmt.Fprintf(&s.text, "tick %d\n%s", t.Tick, s.tick.String())
	if t.Parked > 0 {
		fmt.Fprintf(&s.text, "  parked  %d\n", t.Parked)
	}
	s.tick.Reset()
}

// Finished writes the end of a request.
func (s *story) Finished(r *loopctl.Request, last loopctl.Event) {
	fmt.Fprintf(&s.tick, "  end     %s %s\n", nameOf(r.Seed), last.Finish)
}
