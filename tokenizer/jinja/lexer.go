package jinja

import (
	"strings"
	"unicode/utf8"
)

// token kinds carry Jinja's own names, which its messages show.
const (
	tokEOF      = "end of template"
	tokData     = "data"
	tokVarBegin = "variable_begin"
	tokVarEnd   = "variable_end"
	tokBlkBegin = "block_begin"
	tokBlkEnd   = "block_end"
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

type lexState uint8

const (
	inRoot lexState = iota
	inVar
	inBlock
)

// lexer turns source into tokens one at a time, so that a hostile source is
// refused by the parser before the rest of it is looked at. Whitespace control
// is decided here: trim_blocks and lstrip_blocks are on, as in Hugging Face's
// environment.
type lexer struct {
	src     string
	pos     int
	line    int
	state   lexState
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
	if !utf8.ValidString(src) {
		src = strings.ToValidUTF8(src, "\uFFFD")
	}
	return &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, fresh: true}
}

func (l *lexer) next() (token, error) {
	for {
		if len(l.queue) > 0 {
			t := l.queue[0]
			l.queue = l.queue[1:]
			return t, nil
		}
		if l.pos >= len(l.src) {
			return token{kind: tokEOF, line: l.line}, nil
		}
		var err error
		if l.state == inRoot {
			err = l.root()
		} else {
			err = l.tag()
		}
		if err != nil {
			return token{}, err
		}
	}
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

func (l *lexer) fail(format string, a ...any) error {
	return atLine(failf("TemplateSyntaxError", format, a...), l.line)
}

// root reads text up to the next tag and the tag's opening.
func (l *lexer) root() error {
	rest := l.src[l.pos:]
	at := nextTag(rest)
	if at < 0 {
		l.emit(tokData, rest)
		l.take(len(rest))
		return nil
	}
	kind := rest[at+1]
	open := 2
	sign := byte(0)
	if at+2 < len(rest) && (rest[at+2] == '-' || rest[at+2] == '+') {
		sign = rest[at+2]
		open = 3
	}
	l.data(rest[:at], sign, kind != '{')
	if kind == '%' {
		if n := matchRaw(rest[at:], "raw"); n > 0 {
			l.take(at + n)
			return l.raw()
		}
	}
	l.take(at + open)
	switch kind {
	case '{':
		l.state = inVar
		l.emit(tokVarBegin, "")
	case '%':
		l.state = inBlock
		l.emit(tokBlkBegin, "")
	default:
		return l.comment()
	}
	return nil
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

// data emits the text before a tag, stripped as the tag's sign and
// lstrip_blocks say.
func (l *lexer) data(text string, sign byte, block bool) {
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, isSpace)
	case sign != '+' && block:
		from := strings.LastIndexByte(text, '\n') + 1
		if from > 0 || l.fresh {
			if strings.TrimLeftFunc(text[from:], isSpace) == "" {
				text = text[:from]
			}
		}
	}
	if text != "" {
		l.emit(tokData, text)
	}
}

// comment skips to the end of a comment whose opening has been read.
func (l *lexer) comment() error {
	rest := l.src[l.pos:]
	if rest == "" {
		return nil
	}
	i := strings.Index(rest, "#}")
	if i < 0 {
		return l.fail("Missing end of comment tag")
	}
	sign := byte(0)
	if i > 0 {
		sign = rest[i-1]
	}
	l.take(i + 2)
	l.afterTag(sign)
	return nil
}

// afterTag drops the whitespace after a tag: all after "-", none after "+",
// else one newline (trim_blocks).
func (l *lexer) afterTag(sign byte) {
	rest := l.src[l.pos:]
	switch {
	case sign == '-':
		if n := len(rest) - len(strings.TrimLeftFunc(rest, isSpace)); n > 0 {
			l.take(n)
		}
	case sign != '+' && strings.HasPrefix(rest, "\n"):
		l.take(1)
	}
}

// raw emits the text up to endraw.
func (l *lexer) raw() error {
	rest := l.src[l.pos:]
	if rest == "" {
		return nil
	}
	for i := 0; ; i += 2 {
		j := strings.Index(rest[i:], "{%")
		if j < 0 {
			return l.fail("Missing end of raw directive")
		}
		i += j
		n := matchRaw(rest[i:], "endraw")
		if n == 0 {
			continue
		}
		sign := byte(0)
		if c := rest[i+2]; c == '-' || c == '+' {
			sign = c
		}
		l.data(rest[:i], sign, true)
		l.take(i + n)
		return nil
	}
}

// matchRaw matches a whole "{% raw %}" or "{% endraw %}" tag at the start of
// s and the whitespace that it eats; 0 if there is none.
func matchRaw(s, word string) int {
	i := 2
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	space := func() {
		i = len(s) - len(strings.TrimLeftFunc(s[i:], isSpace))
	}
	space()
	if !strings.HasPrefix(s[i:], word) {
		return 0
	}
	i += len(word)
	space()
	switch {
	case strings.HasPrefix(s[i:], "-%}"):
		i += 3
		space()
	case strings.HasPrefix(s[i:], "%}"):
		i += 2
		if word == "endraw" && strings.HasPrefix(s[i:], "\n") {
			i++
		}
	case word == "endraw" && strings.HasPrefix(s[i:], "+%}"):
		i += 3
	default:
		return 0
	}
	return i
}
