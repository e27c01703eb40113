package jinja

import (
	"fmt"
	"slices"
	"strings"
)

// parser is a recursive-descent parser over the lexer. Every recursion goes through deeper, so nesting is bounded.
type parser struct {
	lex    *lexer
	cur    token
	depth  int
	most   int
	blocks []string     // further tags whose body is rendered as it is
	tags   []string     // open blocks, for messages
	macros []*macroDecl // that are being parsed, outermost first
	last   *call        // what postfix parsed last, if that is a call
	inLoop int
	reads  map[string]bool // names of variables
	sets   map[string]bool // those of them that the template sets somewhere
}

func (p *parser) require(holds bool, format string, a ...any) {
	require(holds, "TemplateSyntaxError", format, a...)
}

func (p *parser) advance() { p.cur = p.lex.next() }

func (p *parser) is(kinds ...string) bool { return slices.Contains(kinds, p.cur.kind) }

// skip takes the token if it is of the kind.
func (p *parser) skip(kind string) bool {
	if !p.is(kind) {
		return false
	}
	p.advance()
	return true
}

// expect takes the token, which must be of the kind.
func (p *parser) expect(kind string) token {
	t := p.cur
	p.require(t.kind == kind || t.kind != tokEOF, "unexpected end of template, expected '%s'.", kind)
	p.require(t.kind == kind, "expected token '%s', got '%s'", kind, describe(t))
	p.advance()
	return t
}

// word takes a name, which may be a keyword where no variable can stand.
func (p *parser) word() string {
	if t := p.cur; keywords[t.kind] {
		p.advance()
		return t.text
	}
	return p.expect(tokName).text
}

func describe(t token) string {
	if t.kind == tokName {
		return clip(t.text)
	}
	return t.kind
}

// deeper bounds the nesting, until the function that it returns is called.
func (p *parser) deeper() (up func()) {
	p.depth++
	limit(p.depth > p.most, "nesting", int64(p.most))
	return func() { p.depth-- }
}

// body parses until one of the end tags, which is left as the current token (its opening taken), or to the end of the
// template if there is none.
func (p *parser) body(ends []string) []stmt {
	defer p.deeper()()
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
			out = append(out, outputStmt(constant(p.expect(tokData).text), line))
		case tokVarBegin:
			p.advance()
			out = append(out, outputStmt(p.tuple(false), line))
			p.expect(tokVarEnd)
		case tokBlkBegin:
			p.advance()
			if slices.Contains(ends, p.cur.text) {
				return out
			}
			out = append(out, p.statement(ends))
			p.expect(tokBlkEnd)
		default:
			panic(errorf("TemplateSyntaxError", "unexpected '%s'", describe(p.cur)))
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
		msg += fmt.Sprintf(" Jinja was looking for the following tags: '%s'.", strings.Join(ends, "' or '"))
	}
	if n := len(p.tags); n > 0 {
		msg += fmt.Sprintf(" The innermost block that needs to be closed is %s.", quoteRepr(p.tags[n-1]))
	}
	return errorf("TemplateSyntaxError", "%s", msg)
}
