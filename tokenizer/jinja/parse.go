package jinja

import (
	"fmt"
	"strings"
)

// parser is a recursive-descent parser over the lexer with one token of
// look-ahead. Every recursion goes through deeper, so nesting is bounded.
type parser struct {
	lex        *lexer
	cur        token
	ahead      *token
	depth      int
	most       int
	generation bool
	special    map[string]bool // special names used by the macro being parsed
	tags       []string        // open blocks, for messages
	inLoop     int
	pending    error // an unknown filter, unless a condition follows
	soft       int   // inside if or a conditional expression: unknown filters fail at run
}

func (p *parser) fail(line int, format string, a ...any) error {
	return atLine(failf("TemplateSyntaxError", format, a...), line)
}

func (p *parser) advance() error {
	if p.ahead != nil {
		p.cur = *p.ahead
		p.ahead = nil
		return nil
	}
	t, err := p.lex.next()
	if err != nil {
		return err
	}
	p.cur = t
	return nil
}

func (p *parser) look() (token, error) {
	if p.ahead == nil {
		t, err := p.lex.next()
		if err != nil {
			return token{}, err
		}
		p.ahead = &t
	}
	return *p.ahead, nil
}

func (p *parser) is(kind string) bool { return p.cur.kind == kind }

func (p *parser) isName(names ...string) bool {
	if p.cur.kind != tokName {
		return false
	}
	for _, n := range names {
		if p.cur.text == n {
			return true
		}
	}
	return false
}

// skipName takes the name if it is next.
func (p *parser) skipName(name string) (bool, error) {
	if !p.isName(name) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) skip(kind string) (bool, error) {
	if !p.is(kind) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) expect(kind string) (token, error) {
	t := p.cur
	if t.kind != kind {
		if t.kind == tokEOF {
			return t, p.fail(t.line, "unexpected end of template, expected '%s'.", kindText(kind))
		}
		return t, p.fail(t.line, "expected token '%s', got '%s'", kindText(kind), describe(t))
	}
	return t, p.advance()
}

func kindText(kind string) string {
	switch kind {
	case tokVarEnd:
		return "end of print statement"
	case tokBlkEnd:
		return "end of statement block"
	case tokVarBegin:
		return "begin of print statement"
	case tokBlkBegin:
		return "begin of statement block"
	}
	return kind
}

func describe(t token) string {
	switch t.kind {
	case tokName:
		return clip(t.text)
	case tokData:
		return "template data / text"
	}
	return kindText(t.kind)
}

// deeper bounds the nesting; the caller defers the returned function.
func (p *parser) deeper() error {
	p.depth++
	if p.depth > p.most {
		return &LimitError{What: "nesting", Limit: int64(p.most), Line: p.cur.line}
	}
	return nil
}

func (p *parser) up() { p.depth-- }

// template parses the whole source.
func (p *parser) template() ([]stmt, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	return p.body(nil)
}

// body parses until one of the end tags, which is left as the current token
// (its block_begin taken), or to the end of the template if there is none.
func (p *parser) body(ends []string) ([]stmt, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer p.up()
	var out []stmt
	for {
		switch p.cur.kind {
		case tokEOF:
			if ends != nil {
				return nil, p.failEnd("", ends)
			}
			return out, nil
		case tokData:
			out = append(out, &dataStmt{text: p.cur.text})
			if err := p.advance(); err != nil {
				return nil, err
			}
		case tokVarBegin:
			line := p.cur.line
			if err := p.advance(); err != nil {
				return nil, err
			}
			x, err := p.tuple(true, nil, false)
			if err != nil {
				return nil, err
			}
			if _, err := p.expect(tokVarEnd); err != nil {
				return nil, err
			}
			out = append(out, &outputStmt{x: x, line: line})
		case tokBlkBegin:
			if err := p.advance(); err != nil {
				return nil, err
			}
			if p.isName(ends...) {
				return out, nil
			}
			s, err := p.statement(ends)
			if err != nil {
				return nil, err
			}
			if _, err := p.expect(tokBlkEnd); err != nil {
				return nil, err
			}
			out = append(out, s...)
		default:
			return nil, p.fail(p.cur.line, "unexpected '%s'", describe(p.cur))
		}
	}
}

// block parses the rest of a block's opening tag and its body. The end tag's
// name is returned and taken; the tag's end is left to the caller.
func (p *parser) block(ends ...string) ([]stmt, string, error) {
	if _, err := p.skip(":"); err != nil {
		return nil, "", err
	}
	if _, err := p.expect(tokBlkEnd); err != nil {
		return nil, "", err
	}
	body, err := p.body(ends)
	if err != nil {
		return nil, "", err
	}
	end := p.cur.text
	return body, end, p.advance()
}

// failEnd is the error for a tag that does not belong here, or for the end of
// the template ("").
func (p *parser) failEnd(name string, ends []string) error {
	msg := "Unexpected end of template."
	if name != "" {
		msg = fmt.Sprintf("Encountered unknown tag %s.", quoteRepr(clip(name)))
	}
	if ends != nil {
		quoted := make([]string, len(ends))
		for i, e := range ends {
			quoted[i] = quoteRepr(e)
		}
		looking := strings.Join(quoted, " or ")
		msg += " Jinja was looking for the following tags: " + looking + "."
	}
	if n := len(p.tags); n > 0 {
		msg += " The innermost block that needs to be closed is " + quoteRepr(p.tags[n-1]) + "."
	}
	return p.fail(p.cur.line, "%s", msg)
}
