package loopctl

import (
	"math/bits"
	"time"
)

// mostStretches bounds a timeline: an adaptive depth may change range with each token of a long answer.
const mostStretches = 64

// Stretch is a run of successive tokens whose loops are of one range: 1, 2, 3 to 4, 5 to 8, 9 to 16, and so on.
type Stretch struct {
	Start, End time.Time // from the token before the first one to the last one
	Tokens     int
	Loops      int // of all its tokens
	Least      int // loops of a token, at least and
	Most       int // at most
}

// extend adds a token after the first one. Beyond mostStretches the last stretch takes all, of whatever range.
func (s *Stats) extend(loops int, now time.Time) {
	n, before := len(s.Timeline), s.FirstToken
	if n > 0 {
		before = s.Timeline[n-1].End
	}
	if n == 0 || n < mostStretches && loopRange(s.Timeline[n-1].Least) != loopRange(loops) {
		s.Timeline = append(s.Timeline, Stretch{Start: before, Least: loops, Most: loops})
		n++
	}
	last := &s.Timeline[n-1]
	last.End = now
	last.Tokens++
	last.Loops += loops
	last.Least, last.Most = min(last.Least, loops), max(last.Most, loops)
}

// loopRange numbers the ranges, each up to twice the one before.
func loopRange(loops int) int { return bits.Len(uint(max(loops, 1) - 1)) }
