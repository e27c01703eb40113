package constrain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// The texts that JSON values are held to are narrower than JSON where that keeps a model from running on: numbers have
// at most 19 digits before the point and 17 behind, and white space is at most a line break with an indentation. Of escapes
// those of surrogates are left out, which only pairs would make characters.
const (
	spaceText   = `( |\n {0,20})?`
	naturalText = `(0|[1-9]\d{0,18})`
	integerText = naturalText + `|-[1-9]\d{0,18}`
	numberText  = `-?` + naturalText + `(\.\d{1,17})?([eE][+-]?\d{1,2})?`
	escapeText  = `\\(["\\/bfnrt]|u([\da-cA-CefEF][\da-fA-F]|[dD][0-7])[\da-fA-F]{2})`
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
	return g.rule("white space", func() *node { return pattern(spaceText) })
}

func (g *grammar) anyValue() *node {
	return g.rule("any value", func() *node {
		value := &node{op: opCall, rule: g.named["any value"]}
		return alt(g.text(0, -1), pattern(numberText), pattern(g.words("true|false|null")), g.list(value, 0, -1), g.anyObject(value))
	})
}

func (g *grammar) anyObject(value *node) *node {
	return g.brackets("{", several(seq(g.text(0, -1), colon(), value), g.comma(), 0, -1), "}")
}

// pythonWords are Python's names of JSON's words.
var pythonWords = map[string]string{"true": "True", "false": "False", "null": "None"}

// wordOrText finds strings, in which a word is no word, and words.
var wordOrText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|true|false|null`)

// words is JSON, or an expression of its words, with the words as the grammar writes them.
func (g *grammar) words(text string) string {
	if !g.python {
		return text
	}
	return wordOrText.ReplaceAllStringFunc(text, func(found string) string { return cmp.Or(pythonWords[found], found) })
}

func colon() *node { return pattern(": ?") }

func (g *grammar) comma() *node { return seq(literal(","), g.space()) }

func (g *grammar) brackets(open string, inside *node, end string) *node {
	return seq(literal(open), g.space(), inside, g.space(), literal(end))
}

// list is an array of least to most items; most −1: no bound.
func (g *grammar) list(item *node, least, most int) *node {
	return g.brackets("[", several(item, g.comma(), least, most), "]")
}

// text is a string of least to most characters.
func (g *grammar) text(least, most int) *node {
	return g.rule(fmt.Sprint("string ", least, most), func() *node {
		character := g.rule("character", func() *node { return alt(stringRunes([]rune{0, unicode.MaxRune}), pattern(escapeText)) })
		return quoted(g.times(character, least, most))
	})
}

func quoted(inside *node) *node { return seq(literal(`"`), inside, literal(`"`)) }

// stringRunes is a character of the ranges as a JSON string holds it: as it is, or escaped where it must be.
func stringRunes(ranges []rune) *node {
	var plain []rune
	var kids []*node
	for of := range slices.Chunk(ranges, 2) {
		for _, p := range [][2]rune{{' ', '!'}, {'#', '['}, {']', unicode.MaxRune}} {
			if lo, hi := max(of[0], p[0]), min(of[1], p[1]); lo <= hi {
				plain = append(plain, lo, hi)
			}
		}
		for r := of[0]; r <= min(of[1], '\\'); r++ {
			if r < ' ' || r == '"' || r == '\\' {
				escape := quote(string(r))
				kids = append(kids, literal(escape[1:len(escape)-1]))
			}
		}
	}
	return alt(append(kids, runes(plain))...)
}

// quote is a text as JSON, with no character escaped that needs no escape.
func quote(text string) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string always encodes
	return strings.TrimSuffix(out.String(), "\n")
}
