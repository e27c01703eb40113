package jinja

import (
	"strconv"
	"strings"
	"unicode"
)

// isNameRune says whether a name may have r, or begin with it.
func isNameRune(r rune, first bool) bool {
	return r == '_' || unicode.IsLetter(r) || !first && (unicode.IsDigit(r) || unicode.Is(unicode.Mn, r))
}

// digits is the length of a run of decimal digits, with single underscores between them.
func digits(s string) int {
	n := 0
	for n < len(s) {
		switch {
		case s[n] >= '0' && s[n] <= '9':
			n++
		case s[n] == '_' && n > 0 && n+1 < len(s) && s[n+1] >= '0' && s[n+1] <= '9':
			n += 2
		default:
			return n
		}
	}
	return n
}

// number reads an integer or a float.
func (l *lexer) number(rest string) {
	if n := floatLen(rest); n > 0 && (l.pos == 0 || l.src[l.pos-1] != '.') {
		f, _ := strconv.ParseFloat(strings.ReplaceAll(rest[:n], "_", ""), 64) // out of range: an infinity, as in Python
		l.queue = append(l.queue, token{kind: tokFloat, text: rest[:n], num: f, line: l.line})
		l.take(n)
		return
	}
	n := digits(rest)
	if rest[0] == '0' {
		n = len(rest) - len(strings.TrimLeft(rest, "0"))
		if n < len(rest) && strings.IndexByte("xXoObB_", rest[n]) >= 0 {
			e := unsupported("the integer %s…, in another base than ten,", rest[:n+1])
			e.Line = l.line
			panic(e)
		}
	}
	text := strings.ReplaceAll(rest[:n], "_", "")
	num, err := parseInteger(text)
	if err != nil {
		panic(l.fail("%s", err.Error()))
	}
	l.queue = append(l.queue, token{kind: tokInt, text: rest[:n], num: num, line: l.line})
	l.take(n)
}

// floatLen matches digits with a fraction, an exponent or both.
func floatLen(s string) int {
	n := digits(s)
	fraction := false
	if n < len(s) && s[n] == '.' {
		if d := digits(s[n+1:]); d > 0 {
			n += 1 + d
			fraction = true
		}
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		e := n + 1
		if signAt(s, e) != 0 {
			e++
		}
		if d := digits(s[e:]); d > 0 {
			return e + d
		}
	}
	if !fraction {
		return 0
	}
	return n
}

// operatorLen is the length of the longest operator that s begins with.
func operatorLen(s string) int {
	if len(s) >= 2 {
		switch s[:2] {
		case "//", "**", "==", "!=", ">=", "<=":
			return 2
		}
	}
	if strings.IndexByte("+-/*%~[](){}><=.:|,;", s[0]) >= 0 {
		return 1
	}
	return 0
}

func (l *lexer) operator(op string) {
	switch op {
	case "{":
		l.balance = append(l.balance, '}')
	case "(":
		l.balance = append(l.balance, ')')
	case "[":
		l.balance = append(l.balance, ']')
	case "}", ")", "]":
		last := len(l.balance) - 1
		if last < 0 {
			panic(l.fail("unexpected '%s'", op))
		}
		if want := l.balance[last]; want != op[0] {
			panic(l.fail("unexpected '%s', expected '%c'", op, want))
		}
		l.balance = l.balance[:last]
	}
	l.emit(op, op)
	l.take(len(op))
}

// str reads a string literal.
func (l *lexer) str(rest string) {
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
	body := rest[1:n]
	if strings.IndexByte(body, '\\') >= 0 {
		body = l.unescape(body)
	}
	l.emit(tokString, body)
	l.take(n + 1)
}

// unescape is Python's unicode-escape decoding of a literal; an unknown escape stays as it is written.
func (l *lexer) unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i]
		switch k := strings.IndexByte(`abfnrtv'"\`, c); {
		case k >= 0:
			b.WriteByte("\a\b\f\n\r\t\v'\"\\"[k])
		case c == '\n':
		case c >= '0' && c <= '7':
			j := i + 1
			for j < len(s) && j < i+3 && s[j] >= '0' && s[j] <= '7' {
				j++
			}
			n, _ := strconv.ParseUint(s[i:j], 8, 32)
			b.WriteRune(rune(n))
			i = j - 1
		case c == 'x' || c == 'u' || c == 'U':
			width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			n, err := strconv.ParseUint(s[min(i+1, len(s)):min(i+1+width, len(s))], 16, 32)
			if err != nil || i+width >= len(s) {
				panic(l.fail(`truncated \%c%s escape`, c, strings.Repeat("X", width)))
			}
			if n > unicode.MaxRune {
				panic(l.fail("illegal Unicode character"))
			}
			b.WriteRune(rune(n))
			i += width
		case c == 'N':
			e := unsupported(`the escape \N{…}`)
			e.Line = l.line
			panic(e)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}
