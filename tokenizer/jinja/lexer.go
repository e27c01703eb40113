package jinja

import (
	"regexp"
	"strconv"
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

	// Keywords and operators have their own text for a kind. The parser does not see these:
	tokSpace    = "whitespace"
	tokBased    = "integer in another base than ten"
	tokOperator = "operator"
)

// keywords are names that cannot be variables.
var keywords = words("and or not in is if else")

type token struct {
	kind string // one of the above, or the text of a keyword or operator
	text string // name, string value, data, number
	line int
}

// The borders of tags, with the whitespace that "-" eats and the newline that trim_blocks does; "+" keeps it.
var (
	spaces     = `[\s\v\x1c-\x1f\x{85}\x{a0}\p{Z}]*`
	tagBegin   = regexp.MustCompile(`\{([{%#])([-+]?)`)
	blockEnd   = regexp.MustCompile(`^(?:-%\}` + spaces + `|\+%\}|%\}\n?)`)
	varEnd     = regexp.MustCompile(`^(?:-\}\}` + spaces + `|\}\})`)
	commentEnd = regexp.MustCompile(`-#\}` + spaces + `|\+#\}|#\}\n?`)
	rawBegin   = regexp.MustCompile(`^\{%[-+]?` + spaces + `raw` + spaces + `(?:-%\}` + spaces + `|%\})`)
	rawEnd     = regexp.MustCompile(`\{%([-+]?)` + spaces + `endraw` + spaces + `(?:-%\}` + spaces + `|\+%\}|%\}\n?)`)
)

// digits are those of a number, with Python's underscores between them.
const digits = `\d+(?:_\d+)*`

// patterns are the tokens inside a tag; the first that matches is taken.
var patterns = []struct {
	kind string
	re   *regexp.Regexp
}{
	{tokSpace, regexp.MustCompile(`^` + spaces)},
	{tokName, regexp.MustCompile(`^[\p{L}_][\p{L}\p{Nd}\p{Mn}_]*`)},
	{tokFloat, regexp.MustCompile(`^` + digits + `(?:\.` + digits + `(?:[eE][-+]?` + digits + `)?|[eE][-+]?` + digits + `)`)},
	{tokBased, regexp.MustCompile(`^0[xXoObB_]`)},
	{tokInt, regexp.MustCompile(`^(?:[1-9]\d*(?:_\d+)*|0+)`)},
	{tokString, regexp.MustCompile(`^(?s:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")`)},
	{tokOperator, regexp.MustCompile(`^(?://|\*\*|[=!<>]=|[-+/*%~\[\](){}><=.:|,;])`)},
}

// lexer turns source into tokens one at a time, so that the parser refuses a hostile source before the rest of it is
// looked at. Whitespace control is decided here: trim_blocks and lstrip_blocks are on, as in Hugging Face's environment.
type lexer struct {
	src      string
	pos      int
	line     int
	end      *regexp.Regexp // of the tag that is being read, nil in the text between tags
	brackets int            // open ones inside a tag, which cannot end there
	fresh    bool           // the last match ended with a newline, or nothing was read yet
	queue    []token        // tokens already made
}

// newLexer normalises newlines and drops a single one at the end.
func newLexer(src string) *lexer {
	src = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(src)
	src = strings.ToValidUTF8(src, "\uFFFD")
	return &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, fresh: true}
}

// next takes a token.
func (l *lexer) next() token {
	t := l.peek()
	l.queue = l.queue[1:]
	return t
}

// peek is what next will take.
func (l *lexer) peek() token {
	for len(l.queue) == 0 {
		rest := l.src[l.pos:]
		switch {
		case rest == "":
			l.emit(tokEOF, "")
		case l.end == nil:
			l.between(rest)
		default:
			l.inside(rest)
		}
	}
	return l.queue[0]
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

// at gives an error the lexer's line.
func (l *lexer) at(e *Error) *Error {
	e.Line = l.line
	return e
}

// between reads text up to the next tag, and the tag's opening.
func (l *lexer) between(rest string) {
	m := tagBegin.FindStringSubmatchIndex(rest)
	if m == nil {
		l.emit(tokData, rest)
		l.take(len(rest))
		return
	}
	kind, sign := rest[m[2]:m[3]], rest[m[4]:m[5]]
	l.data(rest[:m[0]], sign, kind != "{")
	raw := rawBegin.FindString(rest[m[0]:])
	l.take(max(m[1], m[0]+len(raw)))
	switch {
	case raw != "":
		text, m := l.until(rawEnd, "raw directive")
		l.data(text[:m[0]], text[m[2]:m[3]], true)
		l.take(m[1])
	case kind == "#":
		_, m := l.until(commentEnd, "comment tag")
		l.take(m[1])
	case kind == "%":
		l.end = blockEnd
		l.emit(tokBlkBegin, "")
	default:
		l.end = varEnd
		l.emit(tokVarBegin, "")
	}
}

// until finds the end of what has begun.
func (l *lexer) until(end *regexp.Regexp, what string) (rest string, match []int) {
	rest = l.src[l.pos:]
	if match = end.FindStringSubmatchIndex(rest); match == nil {
		panic(l.at(errorf("TemplateSyntaxError", "Missing end of %s", what)))
	}
	return rest, match
}

// data emits the text before a tag, stripped as the tag's sign and lstrip_blocks say.
func (l *lexer) data(text, sign string, block bool) {
	switch {
	case sign == "-":
		text = strings.TrimRightFunc(text, isSpace)
	case sign != "+" && block:
		from := strings.LastIndexByte(text, '\n') + 1
		if (from > 0 || l.fresh) && strings.TrimLeftFunc(text[from:], isSpace) == "" {
			text = text[:from]
		}
	}
	if text != "" {
		l.emit(tokData, text)
	}
}

// inside reads one token inside a tag, or nothing but whitespace.
func (l *lexer) inside(rest string) {
	if end := l.end.FindStringIndex(rest); end != nil && l.brackets <= 0 {
		kind := tokBlkEnd
		if l.end == varEnd {
			kind = tokVarEnd
		}
		l.emit(kind, "")
		l.end, l.brackets = nil, 0
		l.take(end[1])
		return
	}
	for _, p := range patterns {
		text := p.re.FindString(rest)
		if text == "" || p.kind == tokFloat && l.src[l.pos-1] == '.' { // d.1.2 has two subscripts
			continue
		}
		l.token(p.kind, text)
		l.take(len(text))
		return
	}
	c, _ := utf8.DecodeRuneInString(rest)
	at := utf8.RuneCountInString(l.src[:l.pos])
	panic(l.at(errorf("TemplateSyntaxError", "unexpected char %s at %d", quoteRepr(string(c)), at)))
}

// token emits what a pattern matched.
func (l *lexer) token(kind, text string) {
	switch kind {
	case tokSpace:
		return
	case tokName:
		if keywords[text] {
			kind = text
		}
	case tokString:
		text = l.unescape(text[1 : len(text)-1])
	case tokBased:
		panic(l.at(unsupported("the integer %s…, in another base than ten,", clip(text))))
	case tokOperator:
		switch text {
		case "{", "(", "[":
			l.brackets++
		case "}", ")", "]":
			l.brackets--
		}
		kind = text
	}
	l.emit(kind, text)
}

var escapes = regexp.MustCompile(`(?s)\\(?:x[[:xdigit:]]{2}|u[[:xdigit:]]{4}|U[[:xdigit:]]{8}|.)`)

// unescape is Python's unicode-escape decoding of a literal; an unknown escape stays as it is written.
func (l *lexer) unescape(s string) string {
	return escapes.ReplaceAllStringFunc(s, func(escape string) string {
		switch c := escape[1]; {
		case strings.IndexByte("\nN01234567", c) >= 0:
			panic(l.at(unsupported("the escape %s", strconv.Quote(escape))))
		case strings.IndexByte(`'"\`, c) >= 0:
			return escape[1:]
		case strings.IndexByte("abfnrtvxuU", c) >= 0:
			char, _, _, err := strconv.UnquoteChar(escape, 0)
			if err != nil {
				panic(l.at(errorf("TemplateSyntaxError", `truncated \%c escape`, c)))
			}
			return string(char)
		}
		return escape
	})
}
