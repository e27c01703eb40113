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

// writer says how a character of the ranges is written.
type writer func(ranges []rune) *node

// regex parses an expression whose characters chars writes. Unless it must be the whole text, anything may stand before
// and behind, where no anchor says otherwise.
func (g *grammar) regex(expression string, chars writer, whole bool) *node {
	if len(expression) > MaxSource {
		return refuse("the expression has %d bytes: at most %d are allowed", len(expression), MaxSource)
	}
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return refuse("the expression %s: %s", shorten(expression), err.Error())
	}
	begins, ends := anchored(re)
	n := chars.node(trim(re, begins, ends))
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
	first, last := re, re
	if re.Op == syntax.OpConcat {
		first, last = re.Sub[0], re.Sub[len(re.Sub)-1]
	}
	return first.Op == syntax.OpBeginText, last.Op == syntax.OpEndText
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
	case syntax.OpConcat, syntax.OpAlternate:
		kids := make([]*node, len(re.Sub))
		for i, sub := range re.Sub {
			kids[i] = w.node(sub)
		}
		if re.Op == syntax.OpConcat {
			return seq(kids...)
		}
		return alt(kids...)
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
