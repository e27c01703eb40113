package constrain

import (
	"regexp/syntax"
	"unicode"
)

// Regex is text that the whole of the expression matches, in RE2's syntax (Go's regexp), with lookaheads.
func Regex(expression string) (*Form, error) {
	return form(func(g *grammar) *node { return g.expression(expression) })
}

// expression is text that the whole of an expression matches. What says more than RE2's operators is made deterministic
// first, which others need not fit into.
func (g *grammar) expression(text string) (n *node) {
	without, _ := lookaheads(text)
	parse(without) // for what it is told of
	plain := attempt(func() { n, _, _ = writer(runes).expression(text) })
	if plain == nil {
		return n
	}
	l := g.language(want{"^(?:" + text + ")$", false})
	if l == nil {
		panic(refusal{plain})
	}
	return l.node(g, runes, 0, -1)
}

// pattern is an expression of ours, which the whole text matches.
func pattern(expression string) *node { return writer(runes).node(parse(expression)) }

func parse(expression string) *syntax.Regexp {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		refuse("the expression %s: %s", shorten(expression), err.Error())
	}
	return re
}

// writer says how a character of the ranges is written.
type writer func(ranges []rune) *node

// expression says whether the text begins with ^ and ends with $, beside what stands between them.
func (w writer) expression(text string) (between *node, begins, ends bool) {
	if len(text) > MaxSource {
		refuse("the expression has %d bytes: at most %d are allowed", len(text), MaxSource)
	}
	re := parse(text)
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	if begins = parts[0].Op == syntax.OpBeginText; begins {
		parts = parts[1:]
	}
	if ends = len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText; ends {
		parts = parts[:len(parts)-1]
	}
	return w.all(parts, seq), begins, ends
}

// within is text in which the expression is found: anything may stand before and behind, where no anchor says otherwise.
func (w writer) within(expression string) *node {
	n, begins, ends := w.expression(expression)
	around := repeat(w([]rune{0, unicode.MaxRune}), 0, -1)
	if !begins {
		n = seq(around, n)
	}
	if !ends {
		n = seq(n, around)
	}
	return n
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// node turns a parsed expression into grammar.
func (w writer) node(re *syntax.Regexp) *node {
	switch re.Op {
	case syntax.OpNoMatch:
		return never
	case syntax.OpEmptyMatch:
		return empty
	case syntax.OpLiteral:
		var kids []*node
		for _, r := range re.Rune {
			kids = append(kids, w(folds(r, re.Flags&syntax.FoldCase != 0)))
		}
		return seq(kids...)
	case syntax.OpCharClass:
		return w(re.Rune)
	case syntax.OpAnyChar:
		return w([]rune{0, unicode.MaxRune})
	case syntax.OpAnyCharNotNL:
		return w([]rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune})
	case syntax.OpCapture:
		return w.node(re.Sub[0])
	case syntax.OpConcat:
		return w.all(re.Sub, seq)
	case syntax.OpAlternate:
		return w.all(re.Sub, alt)
	case syntax.OpStar:
		return repeat(w.node(re.Sub[0]), 0, -1)
	case syntax.OpPlus:
		return repeat(w.node(re.Sub[0]), 1, -1)
	case syntax.OpQuest:
		return optional(w.node(re.Sub[0]))
	case syntax.OpRepeat:
		return repeat(w.node(re.Sub[0]), re.Min, re.Max)
	}
	return refuse("the expression uses %s inside: ^ and $ are supported at its ends only, and \\b and \\B are not supported", re)
}

func (w writer) all(list []*syntax.Regexp, join func(...*node) *node) *node {
	kids := make([]*node, len(list))
	for i, re := range list {
		kids[i] = w.node(re)
	}
	return join(kids...)
}

// folds are the characters that a literal stands for.
func folds(r rune, fold bool) []rune {
	out := []rune{r, r}
	for f := unicode.SimpleFold(r); fold && f != r; f = unicode.SimpleFold(f) {
		out = append(out, f, f)
	}
	return out
}
