package jinja

import (
	"fmt"
	"slices"
	"strings"
)

// parser is a recursive-descent parser over the lexer with one token of look-ahead. Every recursion goes through deeper,
// so nesting is bounded.
type parser struct {
	lex    *lexer
	cur    token
	ahead  *token
	depth  int
	most   int
	blocks []string     // further tags whose body is rendered as it is
	tags   []string     // open blocks, for messages
	macros []*macroDecl // that are being parsed, outermost first
	last   *call        // what postfix parsed last, if that is a call
	inLoop int
	inIf   int
}

func (p *parser) fail(format string, a ...any) *Error {
	return errorf("TemplateSyntaxError", format, a...)
}

func (p *parser) advance() {
	if p.ahead != nil {
		p.cur, p.ahead = *p.ahead, nil
		return
	}
	p.cur = p.lex.next()
}

func (p *parser) look() token {
	if p.ahead == nil {
		t := p.lex.next()
		p.ahead = &t
	}
	return *p.ahead
}

// is says whether the current token is one of these: a kind, or a name as "name:if".
func (p *parser) is(wanted ...string) bool {
	return slices.Contains(wanted, p.cur.kind) || p.cur.kind == tokName && slices.Contains(wanted, "name:"+p.cur.text)
}

// skip takes the token if it is the wanted one.
func (p *parser) skip(wanted string) bool {
	if !p.is(wanted) {
		return false
	}
	p.advance()
	return true
}

// expect takes the token, which must be the wanted one.
func (p *parser) expect(wanted string) token {
	t := p.cur
	switch name := strings.TrimPrefix(wanted, "name:"); {
	case p.skip(wanted):
		return t
	case t.kind == tokEOF:
		panic(p.fail("unexpected end of template, expected '%s'.", name))
	default:
		panic(p.fail("expected token '%s', got '%s'", name, describe(t)))
	}
}

func describe(t token) string {
	if t.kind == tokName {
		return clip(t.text)
	}
	return t.kind
}

// deeper bounds the nesting; up undoes it. A panic skips up: it ends the parse.
func (p *parser) deeper() {
	p.depth++
	p.bound(p.depth, p.most)
}

func (p *parser) up() { p.depth-- }

func (p *parser) bound(n, most int) {
	if n > most {
		panic(&LimitError{What: "nesting", Limit: int64(p.most), Line: p.cur.line})
	}
}

// body parses until one of the end tags, which is left as the current token (its opening taken), or to the end of the
// template if there is none.
func (p *parser) body(ends []string) []stmt {
	p.deeper()
	defer p.up()
	var out []stmt
	for {
		line := p.cur.line
		switch p.cur.kind {
		case tokEOF:
			if ends != nil {
				panic(p.failEnd("Unexpected end of template.", ends))
			}
			return out
		case tokData:
			out = append(out, dataStmt(p.cur.text))
			p.advance()
		case tokVarBegin:
			p.advance()
			out = append(out, outputStmt(p.tuple(true, false), line))
			p.expect(tokVarEnd)
		case tokBlkBegin:
			p.advance()
			if p.cur.kind == tokName && slices.Contains(ends, p.cur.text) {
				return out
			}
			out = append(out, p.statement(ends))
			p.expect(tokBlkEnd)
		default:
			panic(p.fail("unexpected '%s'", describe(p.cur)))
		}
	}
}

// block parses the rest of a block's opening tag and its body. The end tag's name is returned and taken; the tag's end is
// left to the caller.
func (p *parser) block(ends ...string) (body []stmt, end string) {
	p.skip(":")
	p.expect(tokBlkEnd)
	body = p.body(ends)
	end = p.cur.text
	p.advance()
	return body, end
}

// failEnd is the error for a tag that does not belong here, or for the end of the template.
func (p *parser) failEnd(msg string, ends []string) *Error {
	if ends != nil {
		quoted := make([]string, len(ends))
		for i, e := range ends {
			quoted[i] = quoteRepr(e)
		}
		msg += fmt.Sprintf(" Jinja was looking for the following tags: %s.", strings.Join(quoted, " or "))
	}
	if n := len(p.tags); n > 0 {
		msg += fmt.Sprintf(" The innermost block that needs to be closed is %s.", quoteRepr(p.tags[n-1]))
	}
	return p.fail("%s", msg)
}
