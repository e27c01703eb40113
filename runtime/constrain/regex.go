package constrain

import (
	"regexp/syntax"
	"slices"
	"unicode"
)

// Regex is text that the whole of the expression matches, in RE2's syntax (Go's regexp, without word boundaries; ^ and $
// only at the ends).
func Regex(expression string) (*Form, error) {
	return form(func(g *grammar) *node { return g.regex(expression, runes, true) })
}

// translator turns a parsed expression into grammar.
type translator struct {
	chars func([]rune) *node // how a character of the ranges is written
}

// regex parses an expression whose characters chars writes. Unless it must be the whole text, anything may stand before
// and behind, where no anchor says otherwise.
func (g *grammar) regex(expression string, chars func([]rune) *node, whole bool) *node {
	if len(expression) > MaxSource {
		return refuse("the expression has %d bytes: at most %d are allowed", len(expression), MaxSource)
	}
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return refuse("the expression %s: %s", shorten(expression), err.Error())
	}
	begins, ends := anchored(re)
	t := &translator{chars}
	n := t.node(trim(re, begins, ends))
	if whole {
		return n
	}
	around := repeat(chars([]rune{0, unicode.MaxRune}), 0, -1)
	parts := []*node{n}
	if !begins {
		parts = slices.Insert(parts, 0, around)
	}
	if !ends {
		parts = append(parts, around)
	}
	return seq(parts...)
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// anchored says whether an expression begins with ^ and ends with $.
func anchored(re *syntax.Regexp) (begins, ends bool) {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	is := func(re *syntax.Regexp, op syntax.Op) bool { return re.Op == op }
	if re.Op != syntax.OpConcat {
		return is(re, syntax.OpBeginText), is(re, syntax.OpEndText)
	}
	return is(re.Sub[0], syntax.OpBeginText), is(re.Sub[len(re.Sub)-1], syntax.OpEndText)
}

// trim takes the anchors at the ends away.
func trim(re *syntax.Regexp, begins, ends bool) *syntax.Regexp {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if !begins && !ends {
		return re
	}
	sub := re.Sub
	if re.Op != syntax.OpConcat {
		return &syntax.Regexp{Op: syntax.OpEmptyMatch}
	}
	if begins {
		sub = sub[1:]
	}
	if ends && len(sub) > 0 {
		sub = sub[:len(sub)-1]
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: sub}
}

func (t *translator) node(re *syntax.Regexp) *node {
	switch re.Op {
	case syntax.OpNoMatch:
		return never
	case syntax.OpEmptyMatch:
		return empty
	case syntax.OpLiteral:
		var kids []*node
		for _, r := range re.Rune {
			kids = append(kids, t.chars(folds(r, re.Flags&syntax.FoldCase != 0)))
		}
		return seq(kids...)
	case syntax.OpCharClass:
		return t.chars(re.Rune)
	case syntax.OpAnyChar:
		return t.chars([]rune{0, unicode.MaxRune})
	case syntax.OpAnyCharNotNL:
		return t.chars([]rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune})
	case syntax.OpCapture:
		return t.node(re.Sub[0])
	case syntax.OpConcat, syntax.OpAlternate:
		kids := make([]*node, len(re.Sub))
		for i, sub := range re.Sub {
			kids[i] = t.node(sub)
		}
		if re.Op == syntax.OpConcat {
			return seq(kids...)
		}
		return alt(kids...)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		return t.repeat(re)
	}
	return refuse("the expression uses %s inside: ^ and $ may stand at its ends only, and \\b and \\B nowhere", re)
}

func (t *translator) repeat(re *syntax.Regexp) *node {
	sub := t.node(re.Sub[0])
	switch re.Op {
	case syntax.OpStar:
		return repeat(sub, 0, -1)
	case syntax.OpPlus:
		return repeat(sub, 1, -1)
	case syntax.OpQuest:
		return optional(sub)
	}
	return repeat(sub, re.Min, re.Max)
}

// folds are the characters that a literal stands for.
func folds(r rune, fold bool) []rune {
	out := []rune{r, r}
	if !fold {
		return out
	}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		out = append(out, f, f)
	}
	return out
}
