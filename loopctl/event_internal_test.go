package loopctl

import (
	"reflect"
	"testing"
	"time"
)

// A timeline joins tokens of one range of loops, and is bounded.
func TestTimeline(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	s := Stats{FirstToken: at(0)}
	for i, loops := range []int{3, 4, 4, 5, 8, 9, 1} {
		s.extend(loops, at(i+1))
	}
	want := []Stretch{
		{Start: at(0), End: at(3), Tokens: 3, Loops: 11, Least: 3, Most: 4},
		{Start: at(3), End: at(5), Tokens: 2, Loops: 13, Least: 5, Most: 8},
		{Start: at(5), End: at(6), Tokens: 1, Loops: 9, Least: 9, Most: 9},
		{Start: at(6), End: at(7), Tokens: 1, Loops: 1, Least: 1, Most: 1},
	}
	if !reflect.DeepEqual(s.Timeline, want) {
		t.Errorf("got  %+v\nwant %+v", s.Timeline, want)
	}
	for i := range 1000 { // 1 and 2 are ranges of their own
		s.extend(1+i%2, at(8+i))
	}
	last := s.Timeline[len(s.Timeline)-1]
	if len(s.Timeline) != mostStretches || last.Least != 1 || last.Most != 2 || !last.End.Equal(at(1007)) {
		t.Errorf("%d stretches, the last %+v", len(s.Timeline), last)
	}
	tokens := 0
	for _, x := range s.Timeline {
		tokens += x.Tokens
	}
	if tokens != 1007 {
		t.Errorf("%d tokens", tokens)
	}
}
