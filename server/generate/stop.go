package generate

import "strings"

// StopMatcher looks for stop strings, none of them empty, in a stream of pieces, also across their borders. It holds back
// only what could still become a stop string.
type StopMatcher struct {
	stops []string
	held  string
	hit   string
}

// NewStopMatcher watches for stops.
func NewStopMatcher(stops []string) *StopMatcher { return &StopMatcher{stops: stops} }

// Push takes the next piece and returns the text that may be shown. Where a stop string is complete, emit ends before it, hit
// is that string, and whatever is pushed later is dropped. Of several the one that is complete first wins, among those the
// one that starts first.
func (m *StopMatcher) Push(piece string) (emit, hit string) {
	if m.hit != "" {
		return "", m.hit
	}
	text := m.held + piece
	start, end := len(text), len(text)+1
	for _, s := range m.stops {
		// What was held has no stop string in it.
		from := max(0, len(m.held)-len(s)+1)
		at := strings.Index(text[from:], s)
		if at < 0 {
			continue
		}
		at += from
		if stop := at + len(s); stop < end || stop == end && at < start {
			start, end, m.hit = at, stop, s
		}
	}
	if m.hit != "" {
		m.held = ""
		return text[:start], m.hit
	}
	return m.Pass(piece), ""
}

// Pass takes a piece in which no stop string ends, whatever it says: it may still begin one.
func (m *StopMatcher) Pass(piece string) (emit string) {
	text := m.held + piece
	keep := 0
	for _, s := range m.stops {
		keep = max(keep, Partial(text, s))
	}
	m.held = text[len(text)-keep:]
	return text[:len(text)-keep]
}

// Partial is the length of the longest end of text that begins mark and is not all of it: what more text may complete.
func Partial(text, mark string) int {
	for n := min(len(mark)-1, len(text)); n > 0; n-- {
		if strings.HasSuffix(text, mark[:n]) {
			return n
		}
	}
	return 0
}

// Flush ends the stream: what was held back is text after all. The matcher is then as new.
func (m *StopMatcher) Flush() string {
	held := m.held
	m.held, m.hit = "", ""
	return held
}
