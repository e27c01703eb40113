package constrain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// MaxTools bounds the tools of one form.
const MaxTools = 128

// Tool is something that a model may call.
type Tool struct {
	Name       string
	Parameters json.RawMessage // JSON schema of the arguments; empty: any object
}

// CallSyntax is how a model writes calls of tools, which are
//
//	Begin  Open NAME Middle ARGUMENTS Close  Between  Open NAME Middle ARGUMENTS Close  End
//
// CallID stands in it for the id that some models give to each call.
type CallSyntax struct {
	Begin, Between, End string
	Open, Middle, Close string
	Arguments           ArgumentSyntax
	Most                int // calls of one text; −1: no bound
}

// ArgumentSyntax is how a call's arguments are written: as a JSON object where it is zero, and else each as
//
//	Open KEY Middle VALUE Close
//
// with Between between two of them. A value is a string as it is, or other JSON; with Python it is a literal of Python.
type ArgumentSyntax struct {
	Open, Middle, Close, Between string
	Python                       bool
}

// CallID is nine letters or digits in a syntax's text: a character of no script.
const CallID = "\uE000"

// JSON says whether the arguments are one JSON object.
func (a ArgumentSyntax) JSON() bool { return a.Middle == "" }

// Mark is what ends a value that is no literal: Close without the white space around it.
func (a ArgumentSyntax) Mark() string { return strings.TrimSpace(a.Close) }

// Calls is one or more calls of the tools.
func Calls(tools []Tool, syntax CallSyntax) (*Form, error) {
	return form(func(g *grammar) *node {
		switch {
		case len(tools) == 0:
			return refuse("no tools are given")
		case len(tools) > MaxTools:
			return refuse("%d tools are given: at most %d are allowed", len(tools), MaxTools)
		}
		g.python = syntax.Arguments.Python
		kids := make([]*node, len(tools))
		for i, t := range tools {
			name := quote(t.Name)
			var arguments *node
			if err := attempt(func() { arguments = g.arguments(t, syntax.Arguments, fmt.Sprintf("tool %d ", i)) }); err != nil {
				panic(refusal{fmt.Errorf("%w (parameters of tool %s)", err, name)})
			}
			kids[i] = seq(literal(name[1:len(name)-1]), spelled(syntax.Middle), arguments)
		}
		call := seq(spelled(syntax.Open), alt(kids...), spelled(syntax.Close))
		return seq(spelled(syntax.Begin), several(call, spelled(syntax.Between), 1, syntax.Most), spelled(syntax.End))
	})
}

// spelled is a syntax's text with ids in their places.
func spelled(text string) *node {
	var kids []*node
	for i, part := range strings.Split(text, CallID) {
		if i > 0 {
			kids = append(kids, pattern("[a-zA-Z0-9]{9}"))
		}
		kids = append(kids, literal(part))
	}
	return seq(kids...)
}

func (g *grammar) arguments(t Tool, a ArgumentSyntax, scope string) *node {
	if len(t.Parameters) == 0 {
		t.Parameters = json.RawMessage(`{"type":"object"}`)
	}
	d := g.open(t.Parameters, scope)
	object := d.root.made("type", "object")
	if a.JSON() {
		return d.values(quotes, d.root, object)
	}
	var kids []*node
	for _, s := range d.expand([]*value{d.root, object}) {
		kids = append(kids, d.marked(s, a))
	}
	return alt(kids...)
}

// marked is a shape's properties as arguments between marks, in their order.
func (d *document) marked(s *shape, a ArgumentSyntax) *node {
	mark := a.Mark()
	if a.Python {
		mark = quotes
	}
	names, required := d.properties(s)
	if len(names) == 0 {
		value := d.values(mark, s.member(func(*step) []*value { return nil })...)
		any := seq(spelled(a.Open), pattern(`[A-Za-z_]\w{0,63}`), spelled(a.Middle), value, spelled(a.Close))
		return several(any, spelled(a.Between), 0, -1)
	}
	kids := make([]member, len(names))
	for i, name := range names {
		value := d.values(mark, d.property(s, name)...)
		kids[i] = member{seq(spelled(a.Open), literal(name), spelled(a.Middle), value, spelled(a.Close)), !slices.Contains(required, name)}
	}
	least, most := s.counts("minProperties", "maxProperties", MaxRepeat)
	return members(kids, nil, spelled(a.Between), least, most)
}

// before is text without the mark, whose first character stands in it once.
func (g *grammar) before(mark string) *node {
	return g.rule("before "+mark, func() *node {
		all := []rune{0, unicode.MaxRune}
		letters := []rune(mark)
		first := letters[0]
		rest := repeat(runes(except(all, first)), 0, -1)
		// What follows a first character is nothing, or goes on as the mark does not.
		goesOn := never
		for _, next := range slices.Backward(letters[1:]) {
			goesOn = optional(alt(seq(runes(except(all, first, next)), rest), seq(runes([]rune{next, next}), goesOn)))
		}
		return seq(rest, repeat(seq(runes([]rune{first, first}), goesOn), 0, -1))
	})
}

// except are the ranges without some characters.
func except(ranges []rune, without ...rune) []rune {
	for _, r := range without {
		var out []rune
		for of := range slices.Chunk(ranges, 2) {
			for _, part := range [][2]rune{{of[0], min(of[1], r-1)}, {max(of[0], r+1), of[1]}} {
				if part[0] <= part[1] {
					out = append(out, part[0], part[1])
				}
			}
		}
		ranges = out
	}
	return ranges
}
