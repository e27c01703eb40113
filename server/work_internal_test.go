package server

import (
	"context"
	"errors"
	"testing"
)

// The budget is of larger bodies together; one alone may have more; small ones need none, and wait for nobody large.
func TestWork(t *testing.T) {
	w := newWork(1 << 20)
	a, b, small := &hold{work: w}, &hold{work: w}, &hold{work: w}
	want := func(err, is error) {
		t.Helper()
		if !errors.Is(err, is) {
			t.Errorf("got %v, want %v", err, is)
		}
	}
	want(a.reach(3<<20), nil)
	want(b.reach(smallBody), nil)
	want(b.reach(smallBody+1), errCrowded)
	a.end()
	want(b.reach(800<<10), nil)
	want(b.reach(700<<10), nil) // less than it has
	want(a.reach(300<<10), errCrowded)
	want(a.reach(200<<10), nil)
	if w.held != 1000<<10 {
		t.Errorf("%d bytes are held", w.held)
	}

	var others []*hold
	for range cap(w.large) {
		h := &hold{work: w, bytes: 1}
		w.held++
		want(h.begin(t.Context()), nil)
		others = append(others, h)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	want(a.begin(gone), context.Canceled)
	want(small.begin(t.Context()), nil)
	others[0].pause()
	others[0].pause()
	want(a.begin(t.Context()), nil)
	want(a.begin(t.Context()), nil)
	for _, h := range append(others, a, b, small) {
		h.end()
	}
	if w.held != 0 || len(w.large)+len(w.small) != 0 {
		t.Errorf("%d bytes and %d slots are left", w.held, len(w.large)+len(w.small))
	}
}
