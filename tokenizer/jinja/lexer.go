package jinja

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
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

var (
	digits   = `\d+(?:_\d+)*`
	floatRE  = regexp.MustCompile(`^` + digits + `(?:\.` + digits + `(?:[eE][-+]?` + digits + `)?|[eE][-+]?` + digits + `)`)
	intRE    = regexp.MustCompile(`^(?:[1-9]\d*(?:_\d+)*|0[xXoObB_]|0+)`)
	operator = regexp.MustCompile(`^(?://|\*\*|[=!<>]=|[-+/*%~\[\](){}><=.:|,;])`)
)

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

func (l *lexer) next() token {
	for len(l.queue) == 0 {
		rest := l.src[l.pos:]
		switch {
		case rest == "":
			return token{kind: tokEOF, line: l.line}
		case l.end == nil:
			l.between(rest)
		default:
			l.inside(rest)
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

// at gives an error the lexer's line.
func (l *lexer) at(e *Error) *Error {
	e.Line = l.line
	return e
}

func (l *lexer) fail(format string, a ...any) *Error {
	return l.at(errorf("TemplateSyntaxError", format, a...))
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
	if raw := rawBegin.FindString(rest[m[0]:]); raw != "" {
		l.take(m[0] + len(raw))
		l.raw(l.src[l.pos:])
		return
	}
	l.take(m[1])
	switch kind {
	case "{":
		l.end = varEnd
		l.emit(tokVarBegin, "")
	case "%":
		l.end = blockEnd
		l.emit(tokBlkBegin, "")
	default:
		end := commentEnd.FindStringIndex(l.src[l.pos:])
		if end == nil {
			panic(l.fail("Missing end of comment tag"))
		}
		l.take(end[1])
	}
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

// raw emits the text up to endraw.
func (l *lexer) raw(rest string) {
	m := rawEnd.FindStringSubmatchIndex(rest)
	if m == nil {
		panic(l.fail("Missing end of raw directive"))
	}
	l.data(rest[:m[0]], rest[m[2]:m[3]], true)
	l.take(m[1])
}

// inside reads one token inside a tag, or nothing but whitespace.
func (l *lexer) inside(rest string) {
	if end := l.end.FindStringIndex(rest); end != nil && l.brackets <= 0 {
		if l.end == varEnd {
			l.emit(tokVarEnd, "")
		} else {
			l.emit(tokBlkEnd, "")
		}
		l.end, l.brackets = nil, 0
		l.take(end[1])
		return
	}
	c, size := utf8.DecodeRuneInString(rest)
	switch {
	case isSpace(c):
		l.take(len(rest) - len(strings.TrimLeftFunc(rest, isSpace)))
	case c >= '0' && c <= '9':
		l.number(rest[:min(len(rest), 2*maxDigits)])
	case c == '_' || unicode.IsLetter(c):
		name := rest[:len(rest)-len(strings.TrimLeftFunc(rest, func(c rune) bool {
			return c == '_' || unicode.In(c, unicode.Letter, unicode.Nd, unicode.Mn)
		}))]
		l.emit(tokName, name)
		l.take(len(name))
	case c == '\'' || c == '"':
		l.text(rest)
	case operator.MatchString(rest[:min(len(rest), 2)]):
		op := operator.FindString(rest[:min(len(rest), 2)])
		switch op {
		case "{", "(", "[":
			l.brackets++
		case "}", ")", "]":
			l.brackets--
		}
		l.emit(op, op)
		l.take(len(op))
	default:
		panic(l.unexpected(rest[:size]))
	}
}

func (l *lexer) unexpected(char string) *Error {
	return l.fail("unexpected char %s at %d", quoteRepr(char), utf8.RuneCountInString(l.src[:l.pos]))
}

// number reads an integer or, unless behind a dot, a float.
func (l *lexer) number(rest string) {
	text, kind := floatRE.FindString(rest), tokFloat
	if text == "" || l.src[l.pos-1] == '.' {
		text, kind = intRE.FindString(rest), tokInt
	}
	digits := strings.ReplaceAll(text, "_", "")
	var num Value
	var err error
	switch {
	case kind == tokFloat:
		num, _ = strconv.ParseFloat(digits, 64) // out of range: an infinity, as in Python
	case strings.Trim(text, "0123456789_") != "" || strings.HasPrefix(text, "0_"):
		panic(l.at(unsupported("the integer %s…, in another base than ten,", text)))
	default:
		num, err = parseInteger(digits)
	}
	if err != nil {
		panic(l.fail("%s", err.Error()))
	}
	l.queue = append(l.queue, token{kind: kind, text: text, num: num, line: l.line})
	l.take(len(text))
}

// text reads a string literal.
func (l *lexer) text(rest string) {
	n := 1
	for n < len(rest) && rest[n] != rest[0] {
		if rest[n] == '\\' {
			n++
		}
		n++
	}
	if n >= len(rest) {
		panic(l.unexpected(rest[:1]))
	}
	l.emit(tokString, l.unescape(rest[1:n]))
	l.take(n + 1)
}

// unescape is Python's unicode-escape decoding of a literal; an unknown escape stays as it is written.
func (l *lexer) unescape(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		c := after[0]
		s = after[1:]
		switch {
		case c == '\n':
		case c == '\'' || c == '"' || c == '\\':
			b.WriteByte(c)
		case c == 'N':
			panic(l.at(unsupported(`the escape \N{…}`)))
		case c >= '0' && c <= '7':
			octal := after[:min(3, len(after)-len(strings.TrimLeft(after, "01234567")))]
			n, _ := strconv.ParseUint(octal, 8, 32)
			b.WriteRune(rune(n))
			s = after[len(octal):]
		case strings.IndexByte("abfnrtvxuU", c) >= 0:
			r, _, tail, err := strconv.UnquoteChar(`\`+after, 0)
			if err != nil {
				panic(l.fail(`truncated \%c escape`, c))
			}
			b.WriteRune(r)
			s = tail
		default:
			b.WriteByte('\\')
			s = after
		}
	}
}
