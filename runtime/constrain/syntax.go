package constrain

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ErrForm says that a form is not understood, not supported or too large. Its message names the part.
var ErrForm = errors.New("unusable constraint")

// ErrVocabulary says that a vocabulary has no way to write any text of the form.
var ErrVocabulary = errors.New("the vocabulary cannot write any text of it")

// refusal is an error on its way out: what writes a part of a grammar and cannot ends the whole, as text/template does.
type refusal struct{ error }

// refuse never returns; its result is for `return refuse(…)`.
func refuse(format string, args ...any) *node {
	panic(refusal{fmt.Errorf("%w: %s", ErrForm, fmt.Sprintf(format, args...))})
}

// attempt returns what write refuses.
func attempt(write func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case refusal:
			err = r.error
		default:
			panic(r)
		}
	}()
	write()
	return nil
}

// form is a grammar whose whole write returns.
func form(write func(g *grammar) *node) (*Form, error) {
	g := newGrammar()
	if err := attempt(func() { g.start = write(g) }); err != nil {
		return nil, err
	}
	return &Form{g}, nil
}

type op uint8

const (
	opByte   op = iota // one byte of lo…hi
	opSeq              // kids, one after another
	opAlt              // one of kids
	opRepeat           // kids[0], min to max times
	opCall             // the rule
	opGraph            // from the first state to one of ends, along edges
	opMark             // nothing: what stands around it is an item, or a set of them
)

// node is a piece of grammar.
type node struct {
	op       op
	lo, hi   byte
	kids     []*node
	min, max int // of opRepeat, and of an opGraph's edges where counted; max −1: no bound
	rule     int
	edges    [][]edgeTo // of opGraph, by state
	ends     []bool
	counted  bool // of opGraph, which must be the whole body of a rule
	mark     code // of opMark
}

// edgeTo is a text that leads to a state.
type edgeTo struct {
	label *node
	to    int
}

// grammar is what a form is written in. Rules are called by number; start is the whole.
type grammar struct {
	rules []*node
	start *node
	named map[string]int

	python bool // true, false and null are Python's words

	languages map[string]*language
	work      int // to find them
}

// Form is what text must look like, for any vocabulary.
type Form struct{ g *grammar }

func newGrammar() *grammar {
	return &grammar{named: map[string]int{}, languages: map[string]*language{}}
}

// rule returns a call of the named rule, which body writes the first time.
func (g *grammar) rule(name string, body func() *node) *node {
	i, ok := g.named[name]
	if !ok {
		i = len(g.rules)
		g.named[name] = i
		g.rules = append(g.rules, nil) // body may call the rule itself
		g.rules[i] = body()
	}
	return &node{op: opCall, rule: i}
}

// shared makes a rule of what is to be written more than once.
func (g *grammar) shared(n *node) *node {
	if n.op == opCall {
		return n
	}
	g.rules = append(g.rules, n)
	return &node{op: opCall, rule: len(g.rules) - 1}
}

var (
	empty = seq()
	never = alt()
)

func byteRange(lo, hi byte) *node { return &node{op: opByte, lo: lo, hi: hi} }

func literal(text string) *node {
	kids := make([]*node, len(text))
	for i := range len(text) {
		kids[i] = byteRange(text[i], text[i])
	}
	return seq(kids...)
}

func seq(kids ...*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	return &node{op: opSeq, kids: kids}
}

func alt(kids ...*node) *node {
	if len(kids) == 1 {
		return kids[0]
	}
	return &node{op: opAlt, kids: kids}
}

func repeat(n *node, least, most int) *node {
	return &node{op: opRepeat, kids: []*node{n}, min: least, max: most}
}

func optional(n *node) *node { return repeat(n, 0, 1) }

// several is least to most items, with a separator between two of them; most −1: no bound.
func several(item, separator *node, least, most int) *node {
	if most == 0 {
		return empty
	}
	n := seq(item, repeat(seq(separator, item), max(least-1, 0), max(most-1, -1)))
	if least == 0 {
		n = optional(n)
	}
	return n
}

// times is n from least to most times; most −1: no bound. Only a counter grows with the numbers.
func (g *grammar) times(n *node, least, most int) *node {
	if least == 0 && most < 0 {
		return repeat(n, 0, -1)
	}
	return g.counted(&node{op: opGraph, edges: [][]edgeTo{{{n, 0}}}, ends: []bool{true}}, least, most)
}

// counted is a graph of least to most edges, less where so many by so many states would be too much to know of.
func (g *grammar) counted(n *node, least, most int) *node {
	n.counted, n.min, n.max = true, least, min(most, max(least, maxTally/len(n.edges)))
	return g.shared(n)
}

// literals is one of texts. The expressions' parser writes what they begin with in common once, so that a long list is not
// a long set of positions.
func literals(texts []string) *node { return pattern(alternatives(texts)) }

func alternatives(texts []string) string {
	sorted := slices.Sorted(slices.Values(texts))
	for i, t := range sorted {
		sorted[i] = regexp.QuoteMeta(t)
	}
	return strings.Join(sorted, "|")
}

// Choice is one of the texts.
func Choice(texts []string) (*Form, error) {
	return form(func(*grammar) *node {
		switch bytes := len(strings.Join(texts, "")); {
		case len(texts) == 0:
			return refuse("choice is an empty list: give at least one text")
		case len(texts) > MaxChoices:
			return refuse("choice has %d texts: at most %d are allowed", len(texts), MaxChoices)
		case bytes > MaxProgram:
			return refuse("choice has %d bytes in all: at most %d are allowed", bytes, MaxProgram)
		case slices.Contains(texts, ""):
			return refuse("choice has an empty text: each needs at least one character")
		}
		return literals(texts)
	})
}
