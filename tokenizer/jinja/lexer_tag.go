package jinja

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tag reads one token inside "{{ }}" or "{% %}", or nothing but whitespace.
func (l *lexer) tag() error {
	rest := l.src[l.pos:]
	if len(l.balance) == 0 && l.tagEnd(rest) {
		return nil
	}
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case isSpace(r):
		l.take(len(rest) - len(strings.TrimLeftFunc(rest, isSpace)))
		return nil
	case r >= '0' && r <= '9':
		return l.number(rest)
	case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
		return l.name(rest)
	case r == '\'' || r == '"':
		if n := stringEnd(rest); n > 0 {
			return l.str(rest[:n])
		}
	default:
		if n := operatorLen(rest); n > 0 {
			return l.operator(rest[:n])
		}
	}
	return l.fail("unexpected char %s at %d", quoteRepr(rest[:size]), utf8.RuneCountInString(l.src[:l.pos]))
}

// tagEnd takes the end of the tag if it is here. Variables know no "+}}".
func (l *lexer) tagEnd(rest string) bool {
	closing, kind := "}}", tokVarEnd
	if l.state == inBlock {
		closing, kind = "%}", tokBlkEnd
	}
	sign := byte(0)
	if rest[0] == '-' || (rest[0] == '+' && l.state == inBlock) {
		sign = rest[0]
		rest = rest[1:]
	}
	if !strings.HasPrefix(rest, closing) {
		return false
	}
	l.emit(kind, "")
	n := 2
	if sign != 0 {
		n++
	}
	l.take(n)
	if sign == 0 && l.state == inVar {
		sign = '+' // trim_blocks is for blocks
	}
	l.state = inRoot
	l.afterTag(sign)
	return true
}

func (l *lexer) name(rest string) error {
	n := len(rest) - len(strings.TrimLeftFunc(rest, func(r rune) bool {
		return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r)
	}))
	if n == 0 {
		return l.fail("Invalid character in identifier")
	}
	if r, _ := utf8.DecodeRuneInString(rest); unicode.IsDigit(r) {
		return l.fail("Invalid character in identifier")
	}
	l.emit(tokName, rest[:n])
	l.take(n)
	return nil
}

// digits is the length of a run of digits of the base, with single
// underscores between them.
func digits(s string, base byte) int {
	n := 0
	for n < len(s) {
		c := s[n]
		if c == '_' && n > 0 && n+1 < len(s) {
			c = s[n+1]
			if !isDigit(c, base) {
				break
			}
			n += 2
			continue
		}
		if !isDigit(c, base) {
			break
		}
		n++
	}
	return n
}

func isDigit(c, base byte) bool {
	switch {
	case c >= '0' && c <= '9':
		return c-'0' < base
	case base == 16:
		return (c|0x20) >= 'a' && (c|0x20) <= 'f'
	}
	return false
}

func (l *lexer) number(rest string) error {
	if n := floatLen(rest); n > 0 && (l.pos == 0 || l.src[l.pos-1] != '.') {
		f, err := strconv.ParseFloat(strings.ReplaceAll(rest[:n], "_", ""), 64)
		if err != nil && f == 0 {
			return l.fail("bad number %s", quoteRepr(clip(rest[:n])))
		}
		l.queue = append(l.queue, token{kind: tokFloat, text: rest[:n], num: f, line: l.line})
		l.take(n)
		return nil
	}
	n := 0
	if len(rest) > 2 && rest[0] == '0' {
		base := map[byte]byte{'x': 16, 'o': 8, 'b': 2}[rest[1]|0x20]
		if base > 0 {
			body := rest[2:]
			skip := 0
			if body[0] == '_' {
				skip = 1
			}
			if d := digits(body[skip:], base); d > 0 {
				n = 2 + skip + d
			}
		}
	}
	if n == 0 {
		if rest[0] == '0' {
			n = len(rest) - len(strings.TrimLeft(rest, "0"))
			for n+1 < len(rest) && rest[n] == '_' && rest[n+1] == '0' {
				n += 2
			}
		} else {
			n = digits(rest, 10)
		}
	}
	text := strings.ReplaceAll(rest[:n], "_", "")
	if len(text) > maxIntBits/4 {
		return l.fail("an integer of %d digits; at most %d", len(text), maxIntBits/4)
	}
	if strings.Trim(text, "0") == "" {
		text = "0"
	}
	v, ok := new(big.Int).SetString(text, 0)
	if !ok {
		return l.fail("bad number %s", quoteRepr(clip(text)))
	}
	l.queue = append(l.queue, token{kind: tokInt, text: rest[:n], num: normInt(v), line: l.line})
	l.take(n)
	return nil
}

// floatLen matches digits with a fraction, an exponent or both.
func floatLen(s string) int {
	n := digits(s, 10)
	frac := false
	if n < len(s) && s[n] == '.' {
		if d := digits(s[n+1:], 10); d > 0 {
			n += 1 + d
			frac = true
		}
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		e := n + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if d := digits(s[e:], 10); d > 0 {
			return e + d
		}
	}
	if !frac {
		return 0
	}
	return n
}

// operatorLen matches the longest operator.
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

func (l *lexer) operator(op string) error {
	switch op {
	case "{":
		l.balance = append(l.balance, '}')
	case "(":
		l.balance = append(l.balance, ')')
	case "[":
		l.balance = append(l.balance, ']')
	case "}", ")", "]":
		if len(l.balance) == 0 {
			return l.fail("unexpected '%s'", op)
		}
		want := l.balance[len(l.balance)-1]
		l.balance = l.balance[:len(l.balance)-1]
		if want != op[0] {
			return l.fail("unexpected '%s', expected '%c'", op, want)
		}
	}
	l.emit(op, op)
	l.take(len(op))
	return nil
}

// stringEnd is the length of the string literal at the start of s, quotes
// included; 0 if it is not closed.
func stringEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return 0
}

func (l *lexer) str(lit string) error {
	body := lit[1 : len(lit)-1]
	if strings.IndexByte(body, '\\') >= 0 {
		s, msg := unescape(body)
		if msg != "" {
			return l.fail("%s", msg)
		}
		body = s
	}
	l.emit(tokString, body)
	l.take(len(lit))
	return nil
}

// unescape is Python's unicode-escape decoding of a literal; an unknown escape
// stays as it is written.
func unescape(s string) (out, msg string) {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' || i+1 >= len(s) {
			b.WriteByte(c)
			continue
		}
		i++
		if k := strings.IndexByte(`abfnrtv'"\`, s[i]); k >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v'\"\\"[k])
			continue
		}
		switch c := s[i]; {
		case c == '\n':
		case c >= '0' && c <= '7':
			n, j := 0, i
			for j < len(s) && j < i+3 && s[j] >= '0' && s[j] <= '7' {
				n = n*8 + int(s[j]-'0')
				j++
			}
			b.WriteRune(rune(n))
			i = j - 1
		case c == 'x' || c == 'u' || c == 'U':
			width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			if i+1+width > len(s) {
				return "", "truncated \\" + string(c) + strings.Repeat("X", width) + " escape"
			}
			n, err := strconv.ParseUint(s[i+1:i+1+width], 16, 32)
			if err != nil {
				return "", "truncated \\" + string(c) + strings.Repeat("X", width) + " escape"
			}
			if n > unicode.MaxRune {
				return "", "illegal Unicode character"
			}
			b.WriteRune(rune(n))
			i += width
		case c == 'N':
			return "", `the escape \N{…} is outside the subset for chat templates`
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
