package constrain

import (
	"math"
	"slices"
)

type code uint8

const (
	codeByte   code = iota // a byte of lo…hi, then next
	codeSplit              // outs
	codeCall               // to, then next
	codeReturn             // to the caller's next
	codeAccept             // the text may end
	codeTick               // one more edge is taken of a counted graph, to a state of it
	codeLeast              // enough edges were taken
	codeSet                // a list begins whose items differ
	codeItem               // an item of it
	codeItemEnd
	codeSetEnd
)

// inst is one instruction.
type inst struct {
	code   code
	lo, hi byte
	next   int32
	to     int32 // of codeCall: the rule's first instruction; of codeTick: the state
	outs   []int32
	tally  *tally
}

// unreachable is more calls than MaxDepth allows: the end cannot be written from there.
const unreachable = math.MaxInt32 / 2

// program is a grammar as instructions.
type program struct {
	code  []inst
	start int32
	// need is, for each instruction, how many calls inside calls the shortest way to the end of its rule takes. A position
	// at depth d is entered only where d + need is at most MaxDepth: so no position is a dead end.
	need    []int32
	classes [256]uint8 // bytes that no instruction tells apart share a class
	numbers int        // of classes
	tallies []*tally
}

type compiler struct {
	p     *program
	rules []int32 // first instruction of each rule
	calls []call
	g     *grammar

	nodes   int // that were written, each time
	tallied int // numbers by states of all counted graphs
}

type call struct{ at, rule int32 }

// compile writes the program of a grammar. Only bytes of the alphabet can be relied on to be written.
func compile(g *grammar, alphabet *[256]bool) (p *program, err error) {
	if err := attempt(func() { p = write(g) }); err != nil {
		return nil, err
	}
	if p.settle(alphabet[:]); p.need[p.start] <= MaxDepth {
		return p, nil
	}
	if p.settle(slices.Repeat([]bool{true}, 256)); p.need[p.start] <= MaxDepth {
		return nil, ErrVocabulary
	}
	return nil, attempt(func() { refuse("no text satisfies it, or only text nested deeper than %d levels", MaxDepth) })
}

func write(g *grammar) *program {
	c := &compiler{p: &program{}, g: g}
	c.p.start = c.node(c.g.start, c.emit(inst{code: codeAccept}))
	for _, body := range c.g.rules {
		c.rules = append(c.rules, c.node(body, c.emit(inst{code: codeReturn})))
	}
	for _, k := range c.calls {
		c.p.code[k.at].to = c.rules[k.rule]
	}
	c.p.classify()
	return c.p
}

func (c *compiler) emit(i inst) int32 {
	if len(c.p.code) == MaxProgram {
		refuse("it is too large: more than %d instructions: use fewer or smaller repetitions, alternatives or properties", MaxProgram)
	}
	c.p.code = append(c.p.code, i)
	return int32(len(c.p.code) - 1)
}

// node writes a node that goes on at next, and returns where it begins.
func (c *compiler) node(n *node, next int32) int32 {
	if c.nodes++; c.nodes > maxNodes {
		refuse("it is too large: repetitions hold too many parts that may be empty: use fewer or smaller ones")
	}
	switch n.op {
	case opByte:
		return c.emit(inst{code: codeByte, lo: n.lo, hi: n.hi, next: next})
	case opCall:
		at := c.emit(inst{code: codeCall, next: next})
		c.calls = append(c.calls, call{at, int32(n.rule)})
		return at
	case opSeq:
		for _, k := range slices.Backward(n.kids) {
			next = c.node(k, next)
		}
		return next
	case opAlt:
		outs := make([]int32, len(n.kids))
		for i, k := range n.kids {
			outs[i] = c.node(k, next)
		}
		return c.emit(inst{code: codeSplit, outs: outs})
	case opGraph:
		return c.graph(n, next)
	case opMark:
		return c.emit(inst{code: n.mark, lo: 1, next: next}) // no byte
	}
	return c.repeat(n, next)
}

func (c *compiler) repeat(n *node, next int32) int32 {
	kid, at := n.kids[0], next
	if n.max < 0 {
		at = c.emit(inst{code: codeSplit})
		body := c.node(kid, at)
		c.p.code[at].outs = []int32{body, next}
	}
	for range n.max - n.min { // x{0,3} is (x(x(x)?)?)?
		to := c.node(kid, at)
		if to == at { // x is nothing, however often
			break
		}
		at = c.emit(inst{code: codeSplit, outs: []int32{to, next}})
	}
	for range n.min {
		to := c.node(kid, at)
		if to == at {
			break
		}
		at = to
	}
	return at
}

// graph writes the states, and each edge's text once for each state that it leads to.
func (c *compiler) graph(n *node, next int32) int32 {
	first := int32(len(c.p.code))
	for range n.edges {
		c.emit(inst{code: codeSplit})
	}
	var t *tally
	if n.counted {
		t = &tally{least: n.min, most: n.max, states: first, edges: n.edges, ends: n.ends}
		if c.tallied += (t.top() + 1) * len(n.edges); c.tallied > maxTallies {
			refuse("its minLength and maxLength with the patterns and formats beside them are too large: use smaller ones, or less of them")
		}
		c.p.tallies = append(c.p.tallies, t)
		next = c.emit(inst{code: codeLeast, next: next, tally: t})
	}
	written := map[edgeTo]int32{}
	for i, edges := range n.edges {
		var outs []int32
		for _, e := range edges {
			at, ok := written[e]
			if !ok {
				at = c.node(e.label, first+int32(e.to))
				if n.counted {
					at = c.emit(inst{code: codeTick, to: int32(e.to), next: at, tally: t})
				}
				written[e] = at
			}
			outs = append(outs, at)
		}
		if n.ends[i] {
			outs = append(outs, next)
		}
		c.p.code[first+int32(i)].outs = outs
	}
	return first
}

// classify finds the bytes that no instruction tells apart.
func (p *program) classify() {
	var starts [257]bool
	for _, i := range p.code {
		if i.code == codeByte {
			starts[i.lo], starts[int(i.hi)+1] = true, true
		}
	}
	for b := range 256 {
		if b > 0 && starts[b] {
			p.numbers++
		}
		p.classes[b] = uint8(p.numbers)
	}
	p.numbers++
}

// settle finds need, and which numbers of edges a counted graph may still come to its end with.
func (p *program) settle(alphabet []bool) {
	for _, t := range p.tallies {
		t.closed = false
	}
	for again := true; again; {
		p.measure(alphabet)
		again = false
		for _, t := range p.tallies {
			again = t.fails(p) || again
		}
	}
}

// measure finds need, from all that is unreachable down to what does not change any more.
func (p *program) measure(alphabet []bool) {
	p.need = slices.Repeat([]int32{unreachable}, len(p.code))
	before := make([][]int32, len(p.code)) // who goes on at each
	var todo []int32
	for i := range p.code {
		todo = append(todo, int32(i))
		switch k := &p.code[i]; k.code {
		case codeSplit:
			for _, o := range k.outs {
				before[o] = append(before[o], int32(i))
			}
		case codeCall:
			before[k.to] = append(before[k.to], int32(i))
			fallthrough
		case codeByte, codeTick, codeLeast, codeSet, codeItem, codeItemEnd, codeSetEnd:
			before[k.next] = append(before[k.next], int32(i))
		}
	}
	for ; len(todo) > 0; todo = todo[1:] {
		i := todo[0]
		if n := p.needOf(&p.code[i], alphabet); n < p.need[i] {
			p.need[i] = n
			todo = append(todo, before[i]...)
		}
	}
}

// needOf is the need of an instruction, by those of the ones that it goes on at.
func (p *program) needOf(k *inst, alphabet []bool) int32 {
	n := int32(unreachable)
	switch k.code {
	case codeAccept, codeReturn:
		n = 0
	case codeByte:
		if slices.Contains(alphabet[k.lo:int(k.hi)+1], true) {
			n = p.need[k.next]
		}
	case codeCall:
		n = p.need[k.next]
		if deeper := p.need[k.to]; p.last(k) {
			n = deeper
		} else {
			n = max(n, deeper+1)
		}
	case codeSplit:
		for _, o := range k.outs {
			n = min(n, p.need[o])
		}
	case codeTick:
		if !k.tally.closed {
			n = max(p.need[k.next], 1) // where one text of an edge needs a call, all are given room for it
		}
	case codeLeast, codeSet, codeItem, codeItemEnd, codeSetEnd:
		if k.tally == nil || !k.tally.closed {
			n = p.need[k.next]
		}
	}
	if n > MaxDepth {
		return unreachable
	}
	return n
}

// last says whether a call is the last thing that its rule does: it takes no depth.
func (p *program) last(call *inst) bool { return p.code[call.next].code == codeReturn }

// tally is how many edges a counted graph takes. Numbers above least are one where there is no most.
type tally struct {
	least, most int
	states      int32 // the first one's instruction
	edges       [][]edgeTo
	ends        []bool
	open        []uint64 // a bit for each number and state: the graph may come to its end from there
	closed      bool     // it never does
}

// top is the largest number that is told apart.
func (t *tally) top() int {
	if t.most >= 0 {
		return t.most
	}
	return t.least
}

// tick is the number after one more edge.
func (t *tally) tick(taken int32) int32 {
	if t.most < 0 {
		return min(taken+1, int32(t.least))
	}
	return taken + 1
}

// may says whether the graph may come to its end from a state with so many edges taken.
func (t *tally) may(taken int32, state int32) bool {
	if int(taken) > t.top() {
		return false
	}
	i := int(taken)*len(t.edges) + int(state)
	return t.open[i>>6]>>(i&63)&1 != 0
}

// fails finds what may, from the largest number down. It says whether nothing does, where that was not known.
func (t *tally) fails(p *program) bool {
	if t.closed {
		return false
	}
	t.open = make([]uint64, ((t.top()+1)*len(t.edges)+63)/64)
	for taken := t.top(); taken >= 0; taken-- {
		for changed := true; changed; changed = changed && taken == t.top() && t.most < 0 {
			changed = false
			for i, edges := range t.edges {
				if t.may(int32(taken), int32(i)) {
					continue
				}
				may := t.ends[i] && taken >= t.least
				for j := 0; j < len(edges) && !may && (t.most < 0 || taken < t.most); j++ {
					out := p.code[t.states+int32(i)].outs[j]
					may = p.need[out] < unreachable && t.may(t.tick(int32(taken)), int32(edges[j].to))
				}
				if may {
					at := taken*len(t.edges) + i
					t.open[at>>6] |= 1 << (at & 63)
					changed = true
				}
			}
		}
	}
	t.closed = !t.may(0, 0)
	return t.closed
}
