package constrain

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
)

// Automaton is a form over a vocabulary. It may be used from many goroutines.
type Automaton struct {
	v *Vocabulary
	p *program

	mu     sync.Mutex
	states map[string]*state
	frames map[frameKey]*frame
	made   uint32 // frames, for their numbers
	age    int    // how often everything was forgotten
	sets   map[string]*set
	start  *state
	walk   int      // number of the last walk
	work   int      // what it took
	masked []*state // those that have a mask
	path   []*state // of a walk, by depth
	seen   map[position]struct{}
	found  []position
	accept bool // an end was found beside found
	key    []byte
}

// state is a set of positions. Where each byte leads is found when it is first asked for.
type state struct {
	positions []position // byte instructions only, in order
	accept    bool       // the text may end
	next      []*state   // by class of bytes; of a state that is watched, by byte
	passed    []uint16   // what a walk pays for each step, of which most are free
	price     int        // and for finding main
	watched   bool       // an item of a set began as another one does
	led       []led
	age       int
	walked    int      // the last walk that came here
	mask      []uint64 // a bit for each id that may come; nil until it is asked for
	main      *state   // where most of what may come leads; nil until it is asked for
	loop      uint64   // the groups of bytes that lead there, each as a whole
}

// position is an instruction, where the rules that it is in go on, and the set that it is in (nil: none).
type position struct {
	pc    int32
	frame *frame
	set   *set
}

// frame is a call that has not returned. Equal ones are one.
type frame struct {
	back   int32
	taken  int32 // edges of the counted graph that the rule is
	parent *frame
	depth  int32
	number uint32
}

type frameKey struct {
	back, taken int32
	parent      uint32
}

// outermost is where no rule was called.
var outermost = &frame{}

// compare orders frames by what they are, not by when they were made: the order of positions decides which are left out
// where there are too many.
func (f *frame) compare(g *frame) int {
	for f != g {
		if c := cmp.Compare(f.depth, g.depth); c != 0 {
			return c
		}
		if c := cmp.Or(cmp.Compare(f.back, g.back), cmp.Compare(f.taken, g.taken)); c != 0 {
			return c
		}
		f, g = f.parent, g.parent
	}
	return 0
}

// dead is where no text of the form leads.
var dead = &state{}

// Compile makes a form's automaton. It returns ErrVocabulary where the vocabulary's single bytes cannot write any text of
// the form.
func Compile(f *Form, v *Vocabulary) (*Automaton, error) {
	p, err := compile(f.g, &v.alphabet)
	if err != nil {
		return nil, err
	}
	m := &Automaton{v: v, p: p, seen: map[position]struct{}{}, path: make([]*state, v.depth+1)}
	m.forget()
	lost := m.start == dead || m.loses()
	if m.forget(); lost {
		return nil, attempt(func() { refuse("it is too ambiguous: rules that may be empty begin with each other") })
	}
	return m, nil
}

// loses says whether some rule that is called has texts of which none is found: it passes too much on the way. Not all
// are tried where that would take long.
func (m *Automaton) loses() bool {
	tried, passed := map[int32]bool{}, 0
	for _, i := range m.p.code {
		if i.code != codeCall || tried[i.to] || m.p.need[i.to] >= MaxDepth || passed > 1<<20 {
			continue
		}
		tried[i.to] = true
		m.begin()
		m.add(i.to, m.frame(0, 0, outermost), m.set(nil, "", itemNext)) // back at 0 the text may end
		if passed += len(m.seen); len(m.found) == 0 && !m.accept {
			return true
		}
	}
	return false
}

// forget empties what is remembered. States that a Matcher still holds are found anew when it moves.
func (m *Automaton) forget() {
	m.states, m.frames, m.sets = map[string]*state{}, map[frameKey]*frame{}, map[string]*set{}
	m.made = 0
	m.age++
	m.masked = nil
	m.begin()
	m.add(m.p.start, outermost, nil)
	m.start = m.intern()
}

func (m *Automaton) begin() {
	clear(m.seen)
	m.found, m.accept = m.found[:0], false
}

// add follows what takes no byte, and collects the byte instructions that it comes to.
func (m *Automaton) add(pc int32, f *frame, of *set) {
	if f.depth+m.p.need[pc] > MaxDepth || len(m.found) >= maxPositions {
		return
	}
	if n := len(m.seen); n >= 4*maxPositions && (m.accept || len(m.found) > 0) || n >= 64*maxPositions {
		return
	}
	at := position{pc, f, of}
	if _, ok := m.seen[at]; ok {
		return
	}
	m.seen[at] = struct{}{}
	switch i := &m.p.code[pc]; i.code {
	case codeByte:
		m.found = append(m.found, at)
	case codeAccept:
		m.accept = true
	case codeReturn:
		m.add(f.back, f.parent, of)
	case codeCall:
		if m.p.last(i) {
			m.add(i.to, f, of)
		} else {
			m.add(i.to, m.frame(i.next, 0, f), of)
		}
	case codeTick:
		if taken := i.tally.tick(f.taken); i.tally.may(taken, i.to) {
			m.add(i.next, m.frame(f.back, taken, f.parent), of)
		}
	case codeLeast:
		if int(f.taken) >= i.tally.least {
			m.add(i.next, f, of)
		}
	case codeSplit:
		for _, o := range i.outs {
			m.add(o, f, of)
		}
	default:
		if to, ok := m.mark(i.code, of); ok {
			m.add(i.next, f, to)
		} else if i.code == codeItem {
			m.found = append(m.found, at) // it waits
		}
	}
}

func (m *Automaton) frame(back, taken int32, parent *frame) *frame {
	key := frameKey{back, taken, parent.number}
	f, ok := m.frames[key]
	if !ok {
		m.made++
		f = &frame{back, taken, parent, parent.depth + 1, m.made}
		m.frames[key] = f
	}
	return f
}

// intern returns the state of the positions that were found.
func (m *Automaton) intern() *state {
	if len(m.found) == 0 && !m.accept {
		return dead
	}
	slices.SortFunc(m.found, func(a, b position) int {
		return cmp.Or(cmp.Compare(a.pc, b.pc), a.frame.compare(b.frame), a.set.compare(b.set))
	})
	watched := false
	m.key = m.key[:0]
	for _, p := range m.found {
		m.key = binary.LittleEndian.AppendUint32(m.key, uint32(p.pc))
		m.key = binary.LittleEndian.AppendUint32(m.key, p.frame.number)
		if p.set != nil {
			m.key = binary.LittleEndian.AppendUint32(append(m.key, 's'), p.set.number)
			watched = watched || p.set.phase == itemWatched
		}
	}
	if m.accept {
		m.key = append(m.key, 1)
	}
	if s, ok := m.states[string(m.key)]; ok {
		return s
	}
	s := &state{positions: slices.Clone(m.found), accept: m.accept, watched: watched, age: m.age}
	m.states[string(m.key)] = s
	edges := m.p.numbers
	if watched {
		edges = 256
	}
	s.next, s.passed = make([]*state, edges), make([]uint16, edges)
	return s
}

// step is where a byte leads.
func (m *Automaton) step(s *state, b byte) *state {
	if s == dead {
		return dead
	}
	class := m.class(s, b)
	if n := s.next[class]; n != nil {
		return n
	}
	n, passed := m.lead(s, b)
	if n.watched && !m.goesOn(n) {
		n = dead
	}
	s.next[class], s.passed[class] = n, passed
	return n
}

// class is a byte's place among a state's edges.
func (m *Automaton) class(s *state, b byte) uint8 {
	if s.watched {
		return b
	}
	return m.p.classes[b]
}

// lead finds where a byte leads. Bytes that fit the same positions lead to the same one, which is looked for once.
// What it passes on the way has a price, which depends on the state and the byte alone.
func (m *Automaton) lead(s *state, b byte) (*state, uint16) {
	var fits uint64
	if len(s.positions) <= 64 && !s.watched {
		for j, p := range s.positions {
			if i := &m.p.code[p.pc]; i.lo <= b && b <= i.hi {
				fits |= 1 << j
			}
		}
		if fits == 0 {
			return dead, 0
		}
		for _, k := range s.led {
			if k.fits == fits {
				return k.to, k.passed
			}
		}
	}
	m.begin()
	for _, p := range s.positions {
		if i := &m.p.code[p.pc]; i.lo <= b && b <= i.hi {
			m.add(i.next, p.frame, m.written(p.set, b))
		}
	}
	passed := uint16(len(m.seen) / manyPassed * (manyPassed / 32))
	n := m.intern()
	if fits != 0 {
		s.led = append(s.led, led{fits, n, passed})
	}
	return n, passed
}

// led is where the bytes lead that fit those of a state's first 64 positions.
type led struct {
	fits   uint64
	to     *state
	passed uint16
}

// current returns s as the automaton knows it now: after everything was forgotten, an equal one. It forgets when there is
// too much.
func (m *Automaton) current(s *state) *state {
	if s == dead {
		return s
	}
	if len(m.states) > maxStates || len(m.frames) > 8*maxStates {
		m.forget()
	}
	if s.age == m.age {
		return s
	}
	m.begin()
	for _, p := range s.positions {
		m.found = append(m.found, position{p.pc, m.again(p.frame), m.known(p.set)})
	}
	m.accept = s.accept
	return m.intern()
}

// again finds a frame of an earlier age.
func (m *Automaton) again(f *frame) *frame {
	if f == outermost {
		return f
	}
	return m.frame(f.back, f.taken, m.again(f.parent))
}
