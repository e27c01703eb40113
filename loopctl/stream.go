package loopctl

import (
	"context"
	"io"
	"sync/atomic"
)

// Stream carries one sequence's events from the engine goroutine to its reader. It holds a bounded number of them:
// when it is full the sequence is parked until the reader takes one, and nobody else waits.
// A reader that goes away must call Cancel, or the parked sequence keeps its pages.
type Stream struct {
	events    chan Event    // one place more than the bound, so that the end of the sequence always fits
	done      chan struct{} // closed by Cancel
	cancelled atomic.Bool
	parked    atomic.Bool     // set by the engine goroutine while it waits for the reader
	wake      func()          // tells the engine goroutine that something changed
	lost      <-chan struct{} // closed when nobody pushes any more
}

// NewStream makes a stream that holds buffer events (at least 1) and that nobody fills but by Push. Submit makes its
// own; this one is for tests and for generators other than the controller.
func NewStream(buffer int) *Stream {
	return newStream(buffer, func() {})
}

func newStream(buffer int, wake func()) *Stream {
	return &Stream{
		events: make(chan Event, max(buffer, 1)+1),
		done:   make(chan struct{}),
		wake:   wake,
	}
}

// Next waits for the next event. After the last one (Event.Finish says which it is) it returns io.EOF; where ctx ends
// first it returns ctx's error, and the sequence goes on: call Cancel to end it.
func (s *Stream) Next(ctx context.Context) (Event, error) {
	select {
	case e, ok := <-s.events: // what is there is delivered even to a reader whose context has ended
		return s.took(e, ok)
	default:
	}
	select {
	case e, ok := <-s.events:
		return s.took(e, ok)
	case <-s.lost:
		return Event{Finish: FinishError, Err: ErrStuck}, nil
	case <-ctx.Done():
		return Event{}, context.Cause(ctx)
	}
}

// Ready says whether an event is there that Next would give at once.
func (s *Stream) Ready() bool { return len(s.events) > 0 }

func (s *Stream) took(e Event, ok bool) (Event, error) {
	if !ok {
		return Event{}, io.EOF
	}
	if s.parked.CompareAndSwap(true, false) {
		s.wake()
	}
	return e, nil
}

// Cancel ends the sequence: its pages are free within the tick that sees it, and the stream ends with
// FinishCancelled, unless the sequence ended before. It may be called at any time, from anywhere, repeatedly.
func (s *Stream) Cancel() {
	if s.cancelled.CompareAndSwap(false, true) {
		close(s.done)
		s.wake()
	}
}

// Done is closed when Cancel has been called.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Push appends an event and reports whether it fitted; the last event (Finish other than FinishNone) always fits and
// closes the stream, after which Push must not be called. One goroutine pushes.
func (s *Stream) Push(e Event) bool {
	last := e.Finish != FinishNone
	if !last && !s.room(1) {
		return false
	}
	s.events <- e
	if last {
		close(s.events)
	}
	return true
}

// room reports whether n tokens fit. Only the pusher may ask: nobody else makes the answer worse.
func (s *Stream) room(n int) bool { return len(s.events)+n < cap(s.events) }

// park reports whether fewer than n tokens fit, at least 1, so that the sequence must wait for its reader, and arranges that the
// reader wakes the engine.
func (s *Stream) park(n int) bool {
	n = max(n, 1)
	if s.room(n) {
		return false
	}
	s.parked.Store(true)
	if s.room(n) { // the reader came between the two lines and saw no flag
		s.parked.Store(false)
		return false
	}
	return true
}
