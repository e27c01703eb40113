package jinja

import (
	"strings"
	"unicode/utf8"
)

// token kinds carry Jinja's own names, which its messages show.
const (
	tokEOF      = "end of template"
	tokData     = "template data / text"
	tokVarBegin = "begin of print statement"
	tokVarEnd   = "end of print statement"
	tokBlkBegin = "begin of statement block"
	tokBlkEnd   = "end of statement block"
	tokName     = "name"
	tokString   = "string"
	tokInt      = "integer"
	tokFloat    = "float"
)

type token struct {
	kind string // one of the above, or an operator's own text
	text string // name, string value, data
	num  Value  // integer, float
	line int
}

// lexer turns source into tokens one at a time, so that the parser refuses a hostile source before the rest of it is
// looked at. Whitespace control is decided here: trim_blocks and lstrip_blocks are on, as in Hugging Face's environment.
type lexer struct {
	src     string
	pos     int
	line    int
	tag     string  // the closing of the tag that is being read, "" in the text between tags
	fresh   bool    // the last match ended with a newline, or nothing was read yet
	balance []byte  // closing brackets awaited inside a tag
	queue   []token // tokens already made
}

// newLexer normalises newlines and drops a single one at the end.
func newLexer(src string) *lexer {
	if strings.IndexByte(src, '\r') >= 0 {
		src = strings.ReplaceAll(src, "\r\n", "\n")
		src = strings.ReplaceAll(src, "\r", "\n")
	}
	src = strings.ToValidUTF8(src, "\uFFFD")
	return &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, fresh: true}
}

func (l *lexer) next() token {
	for len(l.queue) == 0 {
		switch {
		case l.pos >= len(l.src):
			return token{kind: tokEOF, line: l.line}
		case l.tag == "":
			l.between()
		default:
			l.inside()
		}
	}
	t := l.queue[0]
	l.queue = l.queue[1:]
	return t
}

func (l *lexer) emit(kind, text string) {
	l.queue = append(l.queue, token{kind: kind, text: text, line: l.line})
}

// take moves over n bytes of source.
func (l *lexer) take(n int) {
	s := l.src[l.pos : l.pos+n]
	l.line += strings.Count(s, "\n")
	l.fresh = strings.HasSuffix(s, "\n")
	l.pos += n
}

func (l *lexer) fail(format string, a ...any) *Error {
	e := errorf("TemplateSyntaxError", format, a...)
	e.Line = l.line
	return e
}

// between reads text up to the next tag, and the tag's opening.
func (l *lexer) between() {
	rest := l.src[l.pos:]
	at := nextTag(rest)
	if at < 0 {
		l.emit(tokData, rest)
		l.take(len(rest))
		return
	}
	opening := rest[at : at+2]
	sign := signAt(rest, at+2)
	l.data(rest[:at], sign, opening != "{{")
	if opening == "{%" {
		if n := matchRaw(rest[at:], "raw"); n > 0 {
			l.take(at + n)
			l.raw()
			return
		}
	}
	l.take(at + 2)
	if sign != 0 {
		l.take(1)
	}
	switch opening {
	case "{{":
		l.tag = "}}"
		l.emit(tokVarBegin, "")
	case "{%":
		l.tag = "%}"
		l.emit(tokBlkBegin, "")
	default:
		l.comment()
	}
}

// nextTag finds the first "{{", "{%" or "{#".
func nextTag(s string) int {
	for i := 0; ; i++ {
		j := strings.IndexByte(s[i:], '{')
		if j < 0 || i+j+1 >= len(s) {
			return -1
		}
		i += j
		switch s[i+1] {
		case '{', '%', '#':
			return i
		}
	}
}

// signAt is the whitespace control at s[i], 0 if there is none.
func signAt(s string, i int) byte {
	if i >= 0 && i < len(s) && (s[i] == '-' || s[i] == '+') {
		return s[i]
	}
	return 0
}

// data emits the text before a tag, stripped as the tag's sign and lstrip_blocks say.
func (l *lexer) data(text string, sign byte, block bool) {
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, isSpace)
	case sign != '+' && block:
		from := strings.LastIndexByte(text, '\n') + 1
		if (from > 0 || l.fresh) && spaces(text[from:]) == len(text)-from {
			text = text[:from]
		}
	}
	if text != "" {
		l.emit(tokData, text)
	}
}

// spaces is the length of the whitespace that s begins with.
func spaces(s string) int { return len(s) - len(strings.TrimLeftFunc(s, isSpace)) }

// comment skips to the end of a comment whose opening has been read.
func (l *lexer) comment() {
	rest := l.src[l.pos:]
	if rest == "" {
		return
	}
	i := strings.Index(rest, "#}")
	if i < 0 {
		panic(l.fail("Missing end of comment tag"))
	}
	sign := signAt(rest, i-1)
	l.take(i + 2)
	l.afterTag(sign)
}

// afterTag drops the whitespace after a tag: all after "-", none after "+", else one newline (trim_blocks).
func (l *lexer) afterTag(sign byte) {
	rest := l.src[l.pos:]
	switch {
	case sign == '-':
		if n := spaces(rest); n > 0 {
			l.take(n)
		}
	case sign != '+' && strings.HasPrefix(rest, "\n"):
		l.take(1)
	}
}

// raw emits the text up to endraw.
func (l *lexer) raw() {
	rest := l.src[l.pos:]
	for i := 0; rest != ""; i += 2 {
		j := strings.Index(rest[i:], "{%")
		if j < 0 {
			panic(l.fail("Missing end of raw directive"))
		}
		i += j
		if n := matchRaw(rest[i:], "endraw"); n > 0 {
			l.data(rest[:i], signAt(rest, i+2), true)
			l.take(i + n)
			return
		}
	}
}

// matchRaw is the length of a whole "{% raw %}" or "{% endraw %}" tag at the start of s, with the whitespace that it
// eats; 0 if there is none.
func matchRaw(s, word string) int {
	i := 2
	if signAt(s, i) != 0 {
		i++
	}
	i += spaces(s[i:])
	if !strings.HasPrefix(s[i:], word) {
		return 0
	}
	i += len(word)
	i += spaces(s[i:])
	switch {
	case strings.HasPrefix(s[i:], "-%}"):
		i += 3
		return i + spaces(s[i:])
	case strings.HasPrefix(s[i:], "%}"):
		i += 2
		if word == "endraw" && strings.HasPrefix(s[i:], "\n") {
			i++
		}
		return i
	case word == "endraw" && strings.HasPrefix(s[i:], "+%}"):
		return i + 3
	}
	return 0
}

// inside reads one token inside a tag, or nothing but whitespace.
func (l *lexer) inside() {
	rest := l.src[l.pos:]
	if len(l.balance) == 0 && l.tagEnd(rest) {
		return
	}
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case isSpace(r):
		l.take(spaces(rest))
	case r >= '0' && r <= '9':
		l.number(rest)
	case isNameRune(r, true):
		n := strings.IndexFunc(rest, func(r rune) bool { return !isNameRune(r, false) })
		if n < 0 {
			n = len(rest)
		}
		l.emit(tokName, rest[:n])
		l.take(n)
	case r == '\'' || r == '"':
		l.str(rest)
	case operatorLen(rest) > 0:
		l.operator(rest[:operatorLen(rest)])
	default:
		panic(l.unexpected(rest[:size]))
	}
}

func (l *lexer) unexpected(char string) *Error {
	return l.fail("unexpected char %s at %d", quoteRepr(char), utf8.RuneCountInString(l.src[:l.pos]))
}

// tagEnd takes the end of the tag if it is here. Variables know no "+}}".
func (l *lexer) tagEnd(rest string) bool {
	sign := signAt(rest, 0)
	n := 2
	if sign == '-' || sign == '+' && l.tag == "%}" {
		n = 3
	}
	if !strings.HasPrefix(rest[n-2:], l.tag) {
		return false
	}
	if l.tag == "%}" {
		l.emit(tokBlkEnd, "")
	} else {
		l.emit(tokVarEnd, "")
		if sign == 0 {
			sign = '+' // trim_blocks is for blocks
		}
	}
	l.take(n)
	l.tag = ""
	l.afterTag(sign)
	return true
}
