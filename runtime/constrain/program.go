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
)

// inst is one instruction.
type inst struct {
	code   code
	lo, hi byte
	next   int32
	to     int32 // of codeCall: the rule's first instruction
	outs   []int32
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
}

type compiler struct {
	p     *program
	rules []int32 // first instruction of each rule; −1 until it is written
	calls []call
	g     *grammar
}

type call struct{ at, rule int32 }

// compile writes the program of a grammar. Only bytes of the alphabet can be relied on to be written.
func compile(g *grammar, alphabet *[256]bool) (*program, error) {
	c := &compiler{p: &program{}, g: g}
	if err := attempt(c.write); err != nil {
		return nil, err
	}
	if c.p.measure(alphabet[:]); c.p.need[c.p.start] <= MaxDepth {
		return c.p, nil
	}
	if c.p.measure(slices.Repeat([]bool{true}, 256)); c.p.need[c.p.start] <= MaxDepth {
		return nil, ErrVocabulary
	}
	return nil, attempt(func() { refuse("no text satisfies it, or only text nested deeper than %d levels", MaxDepth) })
}

func (c *compiler) write() {
	c.p.start = c.node(c.g.start, c.emit(inst{code: codeAccept}))
	for _, body := range c.g.rules {
		c.rules = append(c.rules, c.node(body, c.emit(inst{code: codeReturn})))
	}
	for _, k := range c.calls {
		c.p.code[k.at].to = c.rules[k.rule]
	}
	c.p.classify()
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
	case opFields:
		return c.fields(n, next)
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
		at = c.emit(inst{code: codeSplit, outs: []int32{c.node(kid, at), next}})
	}
	for range n.min {
		at = c.node(kid, at)
	}
	return at
}

// fields writes members from the last to the first. Before each there are two positions: one where none was written yet,
// and one where a separator must come.
func (c *compiler) fields(n *node, next int32) int32 {
	none, some := next, next
	for i, k := range slices.Backward(n.kids) {
		member := c.node(k, some)
		separated := c.node(n.between, member)
		if n.optional[i] {
			none = c.emit(inst{code: codeSplit, outs: []int32{member, none}})
			some = c.emit(inst{code: codeSplit, outs: []int32{separated, some}})
		} else {
			none, some = member, separated
		}
	}
	return none
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

// measure finds need, from all that is unreachable down to what does not change any more.
func (p *program) measure(alphabet []bool) {
	p.need = slices.Repeat([]int32{unreachable}, len(p.code))
	for changed := true; changed; {
		changed = false
		for i := range p.code {
			n := int32(unreachable)
			switch k := &p.code[i]; k.code {
			case codeAccept, codeReturn:
				n = 0
			case codeByte:
				if slices.Contains(alphabet[k.lo:int(k.hi)+1], true) {
					n = p.need[k.next]
				}
			case codeCall:
				n = max(min(p.need[k.to]+1, unreachable), p.need[k.next])
			case codeSplit:
				for _, o := range k.outs {
					n = min(n, p.need[o])
				}
			}
			if n < p.need[i] {
				p.need[i], changed = n, true
			}
		}
	}
}
