package loopctl

import (
	"math/bits"
	"time"
)

// line is what a stage's calls take by their rows: fixed + each·rows, by least squares, of which old calls are forgotten.
type line struct{ n, x, y, xx, xy float64 }

// costMemory is how many calls a line is about.
const costMemory = 128

func (l *line) add(rows int, took time.Duration) {
	const keep = 1 - 1.0/costMemory
	x, y := float64(rows), took.Seconds()
	l.n, l.x, l.y, l.xx, l.xy = l.n*keep+1, l.x*keep+x, l.y*keep+y, l.xx*keep+x*x, l.xy*keep+x*y
}

// fixed is the seconds of a call without rows; all of them where calls were of one size.
func (l *line) fixed() float64 {
	if l.n == 0 {
		return 0
	}
	each, mean := 0.0, l.x/l.n
	if spread := l.xx/l.n - mean*mean; spread > mean*mean/64 {
		each = max((l.xy/l.n-mean*l.y/l.n)/spread, 0)
	}
	return max(l.y/l.n-each*mean, 0)
}

// table is what a stage's calls take by their rows: for each number up to 8, and beyond for each up to twice the one before.
// Old calls are forgotten.
type table [20]struct{ n, rows, seconds float64 }

// tableMemory is how many calls an entry is about.
const tableMemory = 16

func (t *table) add(rows int, took time.Duration) {
	at := max(rows, 1) - 1
	if rows > 8 {
		at = min(4+bits.Len(uint(rows-1)), len(t)-1)
	}
	e := &t[at]
	e.n = min(e.n+1, tableMemory)
	e.rows += (float64(rows) - e.rows) / e.n
	e.seconds += (unstalled(took, e.seconds, e.n) - e.seconds) / e.n
}

// unstalled is a time of which so many before took mean seconds: where others took the processor meanwhile it says little.
func unstalled(took time.Duration, mean, n float64) float64 {
	if s := took.Seconds(); n < 5 || s < 2*mean {
		return s
	}
	return 2 * mean
}

// of is what a call of so many rows takes, between calls that were measured; beyond all of them, as long as the largest:
// one that is never made would never be measured.
func (t *table) of(rows float64) float64 {
	var below, above struct{ n, rows, seconds float64 }
	for _, e := range t {
		if e.n > 0 && e.rows <= rows {
			below = e
		} else if e.n > 0 {
			above = e
			break
		}
	}
	switch {
	case below.n == 0 && above.n == 0:
		return 0
	case below.n == 0:
		return above.seconds * rows / above.rows
	case above.n == 0:
		return below.seconds
	}
	return below.seconds + (above.seconds-below.seconds)*(rows-below.rows)/(above.rows-below.rows)
}
