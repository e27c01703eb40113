package constrain

import "github.com/loopserve/loopserve/runtime/sampler"

// Matcher is one sequence's place in a form. It is a sampler.Constraint.
type Matcher struct {
	m    *Automaton
	at   *state
	word string // of the item of a set that is written
}

// Start begins a text.
func (m *Automaton) Start() *Matcher {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Matcher{m: m, at: m.start}
}

// Prepare finds the tokens that may begin a text, which costs one walk over the vocabulary: done before a request is
// queued, it does not hold up others.
func (m *Automaton) Prepare() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.allowed(m.start)
}

// lock locks the automaton, which may have forgotten where x is. The caller must unlock it.
func (x *Matcher) lock() (unlock func()) {
	x.m.mu.Lock()
	x.at = x.m.current(x.at)
	return x.m.mu.Unlock
}

// Next implements sampler.Constraint.
func (x *Matcher) Next() []uint64 {
	defer x.lock()()
	return x.m.allowed(x.at)
}

// Allows implements sampler.Constraint. It never asks what Next has found, whose bounds it does not have.
func (x *Matcher) Allows(id int32) bool {
	defer x.lock()()
	return x.m.after(x.at, id) != dead
}

// MayEnd implements sampler.Constraint. Where nothing may follow, the text must end.
func (x *Matcher) MayEnd() bool { return x.at.accept || x.at == dead }

// Advance implements sampler.Constraint.
func (x *Matcher) Advance(id int32) {
	defer x.lock()()
	text := x.m.v.bytes(id)
	if len(text) == 0 {
		x.at = dead
	}
	for _, b := range text {
		x.at = x.m.step(x.at, b)
		x.word = x.at.collect(x.word, b)
	}
	x.at, x.word = x.m.settle(x.at, x.word)
}

// Fork implements sampler.Constraint.
func (x *Matcher) Fork() sampler.Constraint { c := *x; return &c }

// after is where a token leads; one without bytes leads nowhere.
func (m *Automaton) after(s *state, id int32) *state {
	b := m.v.bytes(id)
	if len(b) == 0 {
		return dead
	}
	for _, c := range b {
		s = m.step(s, c)
	}
	return s
}
