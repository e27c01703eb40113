package constrain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// want is an expression that is found in a text, or is not.
type want struct {
	expression string
	not        bool
}

// exactly says that a text is one of some.
func exactly(not bool, texts ...string) want {
	return want{"^(?:" + alternatives(texts) + ")$", not}
}

// language is the texts of which all of some wants are true, as a deterministic automaton over characters. Its first state
// is the begin, and from each an end is reached. Where there is no such text, it has no states.
type language struct {
	classes [][]rune // pairs of first and last: characters that no expression tells apart
	next    [][]int  // of each state, by class: −1: none
	ends    []bool
}

// language is nil where the automaton would be too large. It is made once in a grammar.
func (g *grammar) language(wants ...want) *language {
	key := fmt.Sprint(wants)
	l, ok := g.languages[key]
	if !ok {
		m := &machine{at: map[string]int{}}
		l = m.language(wants)
		g.languages[key] = l
		g.spend(m.work)
	}
	return l
}

// spend counts work, of which a form may take so much.
func (g *grammar) spend(work int) {
	if g.work += work; g.work > maxWork {
		refuse("its patterns, formats and multiples take too long to prepare: use fewer or simpler ones")
	}
}

func (m *machine) language(wants []want) *language {
	var begin thread
	for _, w := range wants {
		if start := m.add(w.expression); w.not {
			begin.none = append(begin.none, start)
		} else {
			begin.all = append(begin.all, start)
		}
	}
	l := &language{classes: m.classes()}
	m.state([]thread{begin}, -1)
	for at := 0; at < len(m.states); at++ { //nolint:intrange // they grow meanwhile
		next := make([]int, len(l.classes))
		for c, class := range l.classes {
			next[c] = m.step(at, class[0])
		}
		end := false
		m.follow(at, -1, func(waits thread) { end = end || len(waits.all) == 0 })
		l.next, l.ends = append(l.next, next), append(l.ends, end)
		if m.work > maxLanguageWork || len(m.states) > maxGraph {
			return nil
		}
	}
	l.trim()
	return l
}

// trim leaves out what leads to states from which no end is reached.
func (l *language) trim() {
	alive := slices.Clone(l.ends)
	for changed := true; changed; {
		changed = false
		for i := len(alive) - 1; i >= 0; i-- {
			if !alive[i] && slices.ContainsFunc(l.next[i], func(to int) bool { return to >= 0 && alive[to] }) {
				alive[i], changed = true, true
			}
		}
	}
	for _, next := range l.next {
		for c, to := range next {
			if to >= 0 && !alive[to] {
				next[c] = -1
			}
		}
	}
	if !alive[0] {
		*l = language{}
	}
}

// takes says whether a text is of the language.
func (l *language) takes(text string) bool {
	if len(l.next) == 0 {
		return false
	}
	at := 0
	for _, r := range text {
		class := slices.IndexFunc(l.classes, func(ranges []rune) bool {
			i, found := slices.BinarySearch(ranges, r)
			return found || i%2 == 1
		})
		if at = l.next[at][class]; at < 0 {
			return false
		}
	}
	return l.ends[at]
}

// node is the texts of least to most characters, each as w writes it; most −1: no bound.
func (l *language) node(g *grammar, w writer, least, most int) *node {
	if len(l.next) == 0 {
		return never
	}
	n := &node{op: opGraph, edges: make([][]edgeTo, len(l.next)), ends: l.ends}
	labels := map[string]*node{}
	for i, next := range l.next {
		by := map[int][]rune{}
		ranges := 0
		for c, to := range next {
			if to >= 0 {
				by[to] = append(by[to], l.classes[c]...)
				ranges += len(l.classes[c])
			}
		}
		g.spend(1 + ranges/16)
		for _, to := range slices.Sorted(maps.Keys(by)) {
			signs, rest := split(by[to])
			for j, ranges := range [][]rune{signs, rest} {
				if len(ranges) == 0 {
					continue
				}
				key := fmt.Sprint(j, ranges)
				if labels[key] == nil {
					labels[key] = w(ranges)
					if j == 1 { // it takes room
						labels[key] = g.shared(labels[key])
					}
				}
				n.edges[i] = append(n.edges[i], edgeTo{labels[key], to})
			}
		}
	}
	if least == 0 && most < 0 {
		return n
	}
	return g.counted(n, least, most)
}

// split puts ranges in order, joins those that touch, and tells the signs of ASCII from the others.
func split(ranges []rune) (signs, rest []rune) {
	pairs := slices.Collect(slices.Chunk(ranges, 2))
	slices.SortFunc(pairs, func(a, b []rune) int { return cmp.Compare(a[0], b[0]) })
	add := func(to *[]rune, lo, hi rune) {
		if n := len(*to); lo <= hi && n > 0 && (*to)[n-1] == lo-1 {
			(*to)[n-1] = hi
		} else if lo <= hi {
			*to = append(*to, lo, hi)
		}
	}
	for _, p := range pairs {
		add(&rest, p[0], min(p[1], ' '-1))
		add(&signs, max(p[0], ' '), min(p[1], '~'))
		add(&rest, max(p[0], '~'+1), p[1])
	}
	return signs, rest
}
