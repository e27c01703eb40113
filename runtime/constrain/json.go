package constrain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// The texts that JSON values are held to are narrower than JSON where that keeps a model from running on: numbers have
// at most 15 digits before the point and 12 behind, and white space is at most a line break with an indentation.
const (
	wholeDigits = 15
	fracDigits  = 12
	indentation = 20
)

// JSON is any JSON value, or any object.
func JSON(objectsOnly bool) *Form {
	g := newGrammar()
	value := g.anyValue()
	if objectsOnly {
		value = g.anyObject(value)
	}
	g.start = seq(g.space(), value)
	return &Form{g}
}

// space is what may stand between the parts of a value.
func (g *grammar) space() *node {
	return g.rule("white space", func() *node {
		return alt(empty, byteRange(' ', ' '), seq(byteRange('\n', '\n'), repeat(byteRange(' ', ' '), 0, indentation)))
	})
}

func (g *grammar) anyValue() *node {
	return g.rule("any value", func() *node {
		value := &node{op: opCall, rule: g.named["any value"], size: 1}
		return alt(g.text(0, -1), number(), literals([]string{"true", "false", "null"}), g.list(value, 0, -1), g.anyObject(value))
	})
}

func (g *grammar) anyObject(value *node) *node {
	member := seq(g.text(0, -1), colon(), value)
	return g.braces(optional(seq(member, repeat(seq(g.comma(), member), 0, -1))))
}

func colon() *node { return seq(literal(":"), optional(literal(" "))) }

func (g *grammar) comma() *node { return seq(literal(","), g.space()) }

func (g *grammar) braces(inside *node) *node {
	return seq(literal("{"), g.space(), inside, g.space(), literal("}"))
}

// list is an array of least to most items; most −1: no bound.
func (g *grammar) list(item *node, least, most int) *node {
	inside := empty
	if most != 0 {
		rest := -1
		if most > 0 {
			rest = most - 1
		}
		inside = seq(item, repeat(seq(g.comma(), item), max(least-1, 0), rest))
		if least == 0 {
			inside = optional(inside)
		}
	}
	return seq(literal("["), g.space(), inside, g.space(), literal("]"))
}

// text is a string of least to most characters.
func (g *grammar) text(least, most int) *node {
	if least == 0 && most < 0 {
		return g.rule("string", func() *node { return quoted(repeat(g.character(), 0, -1)) })
	}
	return quoted(repeat(g.character(), least, most))
}

func quoted(inside *node) *node { return seq(literal(`"`), inside, literal(`"`)) }

func (g *grammar) character() *node {
	return g.rule("character", func() *node { return alt(stringRunes([]rune{0, unicode.MaxRune}), escape()) })
}

// escape is any escape but those of surrogates, which only pairs would make characters.
func escape() *node {
	var short []*node
	for _, c := range []byte(`"\/bfnrt`) {
		short = append(short, byteRange(c, c))
	}
	hex := func() *node { return alt(byteRange('0', '9'), byteRange('a', 'f'), byteRange('A', 'F')) }
	low := alt(byteRange('0', '9'), byteRange('a', 'c'), byteRange('A', 'C'), byteRange('e', 'f'), byteRange('E', 'F'))
	plane := alt(seq(low, hex()), seq(alt(byteRange('d', 'd'), byteRange('D', 'D')), byteRange('0', '7')))
	return seq(literal(`\`), alt(alt(short...), seq(literal("u"), plane, hex(), hex())))
}

// stringRunes is a character of the ranges as a JSON string holds it: as it is, or escaped where it must be.
func stringRunes(ranges []rune) *node {
	var plain []rune
	var kids []*node
	for i := 0; i+1 < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		for r := lo; r <= min(hi, '\\'); r++ {
			switch {
			case r < ' ', r == '"', r == '\\':
				kids = append(kids, escaped(r))
			default:
				plain = append(plain, r, r)
			}
		}
		if hi > '\\' {
			plain = append(plain, max(lo, '\\'+1), hi)
		}
	}
	if len(plain) > 0 {
		kids = append(kids, runes(joined(plain)))
	}
	return alt(kids...)
}

// joined puts ranges that follow each other together.
func joined(ranges []rune) []rune {
	out := ranges[:2]
	for i := 2; i < len(ranges); i += 2 {
		if last := len(out) - 1; ranges[i] == out[last]+1 {
			out[last] = ranges[i+1]
		} else {
			out = append(out, ranges[i], ranges[i+1])
		}
	}
	return out
}

func escaped(r rune) *node {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	if s, ok := short[r]; ok {
		return literal(s)
	}
	return literal(fmt.Sprintf(`\u%04x`, r))
}

func digits(least, most int) *node { return repeat(byteRange('0', '9'), least, most) }

func natural() *node {
	return alt(literal("0"), seq(byteRange('1', '9'), digits(0, wholeDigits-1)))
}

func integer() *node {
	return alt(natural(), seq(literal("-"), byteRange('1', '9'), digits(0, wholeDigits-1)))
}

func number() *node {
	fraction := seq(literal("."), digits(1, fracDigits))
	exponent := seq(alt(literal("e"), literal("E")), optional(alt(literal("+"), literal("-"))), digits(1, 2))
	return seq(optional(literal("-")), natural(), optional(fraction), optional(exponent))
}

// between is an integer from lo to hi.
func between(lo, hi int64) *node {
	const most = 1_000_000_000_000_000 - 1
	lo, hi = max(lo, -most), min(hi, most)
	var kids []*node
	if lo < 0 {
		kids = append(kids, seq(literal("-"), upTo(max(1, -hi), -lo)))
	}
	if hi >= 0 {
		kids = append(kids, upTo(max(lo, 0), hi))
	}
	return alt(kids...)
}

// upTo is a number from lo to hi, neither negative, length by length.
func upTo(lo, hi int64) *node {
	var kids []*node
	for first, last := int64(0), int64(9); first <= hi; first, last = last+1, last*10+9 {
		if a, b := max(lo, first), min(hi, last); a <= b {
			kids = append(kids, sameLength(strconv.FormatInt(a, 10), strconv.FormatInt(b, 10)))
		}
	}
	return alt(kids...)
}

// sameLength is the numbers from a to b, which have as many digits.
func sameLength(a, b string) *node {
	if a == "" {
		return empty
	}
	if a[0] == b[0] {
		return seq(literal(a[:1]), sameLength(a[1:], b[1:]))
	}
	rest := len(a) - 1
	lo, hi := a[0], b[0]
	var kids []*node
	if a[1:] != strings.Repeat("0", rest) {
		kids = append(kids, seq(literal(a[:1]), sameLength(a[1:], strings.Repeat("9", rest))))
		lo++
	}
	if b[1:] != strings.Repeat("9", rest) {
		kids = append(kids, seq(literal(b[:1]), sameLength(strings.Repeat("0", rest), b[1:])))
		hi--
	}
	if lo <= hi {
		kids = append(kids, seq(byteRange(lo, hi), digits(rest, rest)))
	}
	return alt(kids...)
}

// marshal is a value's text with no character escaped that needs no escape.
func marshal(v any) (string, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), nil
}
