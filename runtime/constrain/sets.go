package constrain

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// set is what is known of a list whose items differ. Equal ones are one.
type set struct {
	words  []string // its items, in order
	begun  string   // of the item that is written, where others begin with it
	phase  phase
	number uint32
}

type phase uint8

const (
	itemNext    phase = iota // an item may begin
	itemWatched              // one has begun, and another one begins alike
	itemFree                 // one has begun as no other one does
	itemEnded                // one ends here, unless it goes on
	itemBehind               // one has ended, which words do not have yet
)

func (s *set) compare(t *set) int {
	switch {
	case s == t:
		return 0
	case s == nil:
		return -1
	case t == nil:
		return 1
	}
	return cmp.Or(cmp.Compare(s.phase, t.phase), cmp.Compare(s.begun, t.begun), slices.Compare(s.words, t.words))
}

// inside says whether an item is being written.
func (s *set) inside() bool {
	return s != nil && (s.phase == itemFree || s.phase == itemWatched && s.begun != "")
}

// over says whether one has ended.
func (s *set) over() bool { return s.phase == itemEnded || s.phase == itemBehind }

func (m *Automaton) set(words []string, begun string, p phase) *set {
	key := fmt.Sprintf("%d %q %q", p, begun, words)
	s, ok := m.sets[key]
	if !ok {
		s = &set{words, begun, p, uint32(len(m.sets))}
		m.sets[key] = s
	}
	return s
}

// known finds a set of an earlier age.
func (m *Automaton) known(s *set) *set {
	if s == nil {
		return nil
	}
	return m.set(s.words, s.begun, s.phase)
}

// mark is what a set becomes at a mark, where that may be passed.
func (m *Automaton) mark(c code, s *set) (*set, bool) {
	switch c {
	case codeSet:
		return m.set(nil, "", itemNext), true
	case codeSetEnd:
		return nil, true
	case codeItem:
		if s.phase == itemBehind {
			return nil, false
		}
		return m.set(s.words, "", itemWatched), true
	}
	return m.set(s.words, "", itemEnded), s.phase == itemFree || !slices.Contains(s.words, s.begun)
}

// written is what a set becomes by a byte.
func (m *Automaton) written(s *set, b byte) *set {
	switch {
	case s == nil || s.phase == itemNext || s.phase == itemFree || s.phase == itemBehind:
		return s
	case s.phase == itemEnded:
		return m.set(s.words, "", itemBehind)
	}
	begun := s.begun + string([]byte{b})
	if slices.ContainsFunc(s.words, func(w string) bool { return strings.HasPrefix(w, begun) }) {
		return m.set(s.words, begun, itemWatched)
	}
	return m.set(s.words, "", itemFree)
}

// goesOn says whether some byte may follow a state that is watched, where the list has less items than there are: it is
// one of them that is written in no other way.
func (m *Automaton) goesOn(s *state) bool {
	for b := range 256 {
		if m.step(s, byte(b)) != dead {
			return true
		}
	}
	return s.accept
}

// collect follows an item's bytes, of which word has those before b, behind which s is.
func (s *state) collect(word string, b byte) string {
	for _, p := range s.positions {
		if p.set.inside() || p.set != nil && p.set.phase == itemEnded {
			return word + string([]byte{b})
		}
	}
	return word
}

// settle puts an item that has ended among the others.
func (m *Automaton) settle(s *state, word string) (*state, string) {
	ended := false
	for _, p := range s.positions {
		if p.set != nil {
			if p.set.inside() {
				return s, word
			}
			ended = ended || p.set.over()
		}
	}
	if !ended {
		return s, ""
	}
	m.begin()
	for _, p := range s.positions {
		if p.set != nil && p.set.over() {
			p.set = m.set(append(slices.Clip(p.set.words), word), "", itemNext)
		}
		m.add(p.pc, p.frame, p.set)
	}
	m.accept = m.accept || s.accept
	return m.intern(), ""
}

// distinctNumber is the one way in which numbers are written where two must differ.
const distinctNumber = `-?[1-9]\d{0,18}(\.\d{0,16}[1-9])?|0|-?0\.\d{0,16}[1-9]`

// differing is the lists of a shape whose items differ. Each item is written in one way only.
func (d *document) differing(s *shape, least, most int) *node {
	var kids []*node
	var all types
	count := 0
	for _, item := range d.expand(append(s.item(0), s.parts[0].made())) {
		n, of, size := d.distinct(item)
		if n == nil || of&all != 0 {
			return s.parts[0].refuse("uniqueItems is supported for strings, integers, numbers without bounds, true, false, null and enum, of several schemas if they differ in type: leave it out, and check the answer")
		}
		kids, all, count = append(kids, n), all|of, min(count+size, MaxRepeat)
	}
	if most < 0 || most > count {
		most = count // so there is always another item where one is begun
	}
	if least > most {
		return never
	}
	mark := func(c code) *node { return &node{op: opMark, mark: c} }
	item := d.g.shared(seq(mark(codeItem), alt(kids...), mark(codeItemEnd)))
	return seq(mark(codeSet), d.g.list(item, least, most), mark(codeSetEnd))
}

// distinct is the values of a shape, their types, and how many there are, up to MaxRepeat; nil where a value may be written
// in several ways.
func (d *document) distinct(s *shape) (n *node, of types, size int) {
	if s.enum != nil {
		seen := map[string]bool{}
		for _, v := range s.enum {
			if text := v.constant(); !seen[text] && d.admits(s, v) {
				seen[text], of, size = true, of|v.types(), size+1
			}
		}
		if of&(arrayType|objectType) != 0 {
			return nil, 0, 0
		}
		return d.shape(s, quotes), of, size
	}
	of = s.types
	if speak := s.mentioned(); !s.typed && speak != 0 {
		of &= speak
	}
	numbers := s.numbers()
	bounded := numbers.lo != nil || numbers.hi != nil || numbers.multiples != nil || s.excludes()
	if of&(arrayType|objectType) != 0 || of&fractionType != 0 && bounded {
		return nil, 0, 0
	}
	var kids []*node
	if of&stringType != 0 {
		least, most := s.counts("minLength", "maxLength", MaxLength)
		l := d.g.language(append(s.wants(), want{"", false})...)
		if l == nil {
			return nil, 0, 0
		}
		kids, size = append(kids, quoted(l.node(d.g, stringRunes, least, most))), l.size(d.g, least, most)
	}
	if of&numberTypes != 0 {
		n := pattern(distinctNumber)
		if of&fractionType == 0 {
			n = (&shape{types: of, parts: s.parts}).number(d.g)
		}
		kids, size = append(kids, n), size+numbers.size(len(s.excluded(numberTypes)))
	}
	for _, word := range []struct {
		of   types
		text string
	}{{booleanType, "true"}, {booleanType, "false"}, {nullType, "null"}} {
		if w := d.words(s, word.text); of&word.of != 0 && w.op != opAlt {
			kids, size = append(kids, w), size+1
		}
	}
	return alt(kids...), of, min(size, MaxRepeat)
}

// size is at least how many integers there are of the numbers without some, up to MaxRepeat.
func (n numbers) size(without int) int {
	if n.lo == nil || n.hi == nil {
		return MaxRepeat
	}
	width := new(big.Rat).Sub(n.hi, n.lo)
	for _, m := range append(n.multiples, big.NewRat(1, 1)) {
		width.Quo(width, m)
	}
	whole, _ := width.Float64()
	if n.multiples == nil && !n.loOpen && !n.hiOpen && n.lo.IsInt() {
		whole++
	}
	return int(max(0, min(whole, MaxRepeat+float64(without))-float64(without)))
}

// size is how many texts of least to most characters the language has, up to MaxRepeat.
func (l *language) size(g *grammar, least, most int) (sum int) {
	if len(l.next) == 0 {
		return 0
	}
	longest := least + len(l.next) // where some text is that long there is no end to them
	if most >= 0 {
		longest = min(longest, most)
	}
	wide := make([]int, len(l.classes)) // characters of each class
	for c, ranges := range l.classes {
		for of := range slices.Chunk(ranges, 2) {
			wide[c] += int(of[1]-of[0]) + 1
		}
	}
	counts := map[int]int{0: 1}
	for length := 0; length <= longest && len(counts) > 0 && sum < MaxRepeat; length++ {
		next := map[int]int{}
		g.spend(1 + len(counts)*len(wide)/16)
		for at, n := range counts {
			if l.ends[at] && length >= least {
				sum += n
			}
			for c, to := range l.next[at] {
				if to >= 0 {
					next[to] = min(next[to]+n*wide[c], MaxRepeat)
				}
			}
		}
		counts = next
	}
	if most < 0 && len(counts) > 0 {
		return MaxRepeat
	}
	return min(sum, MaxRepeat)
}
