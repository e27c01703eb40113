package loopctl

import "time"

// line is what a stage's calls take by their rows: fixed + each·rows, by least squares, of which old calls are forgotten.
type line struct{ n, x, y, xx, xy float64 }

// costMemory is how many calls a line is about.
const costMemory = 128

func (l *line) add(rows int, took time.Duration) {
	const keep = 1 - 1.0/costMemory
	x, y := float64(rows), took.Seconds()
	l.n, l.x, l.y, l.xx, l.xy = l.n*keep+1, l.x*keep+x, l.y*keep+y, l.xx*keep+x*x, l.xy*keep+x*y
}

// fit is the seconds of a call without rows, and of each row; all of it is fixed where calls were of one size.
func (l *line) fit() (fixed, each float64) {
	if l.n == 0 {
		return 0, 0
	}
	mean := l.x / l.n
	if spread := l.xx/l.n - mean*mean; spread > mean*mean/64 {
		each = max((l.xy/l.n-mean*l.y/l.n)/spread, 0)
	}
	fixed = l.y/l.n - each*mean
	if fixed < 0 {
		return 0, l.y / l.x
	}
	return fixed, each
}
