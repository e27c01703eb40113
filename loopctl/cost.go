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
