package jinja

import (
	"slices"
	"strings"
)

// expression parses one expression.
func (p *parser) expression() expr {
	defer p.deeper()()
	x := p.binary(0)
	for p.skip("if") {
		test := p.binary(0)
		alt := constant(because("the inline if-expression evaluated to false and no else section was defined."))
		if p.skip("else") {
			alt = p.expression()
		}
		x = condition(test, x, alt)
	}
	return x
}

// binary parses a run of operators of one level over operands of the next. A run is one function, so that a long sum does
// not nest.
func (p *parser) binary(level int) expr {
	switch {
	case level == len(levels):
		return p.unary(true)
	case level == compareLevel && p.is("not"):
		defer p.deeper()()
		p.advance()
		return not(p.binary(level))
	}
	operands := []expr{p.binary(level + 1)}
	line := p.cur.line // of the first operator
	var ops []string
	for op := p.operator(); slices.Contains(levels[level], op); op = p.operator() {
		if op == "not in" {
			p.advance()
		}
		p.advance()
		ops = append(ops, op)
		operands = append(operands, p.binary(level+1))
	}
	if ops == nil {
		return operands[0]
	}
	return chain(ops, operands, line)
}

// operator is the binary operator that the current token is or begins.
func (p *parser) operator() string {
	if p.is("not") && p.lex.peek().kind == "in" {
		return "not in"
	}
	return p.cur.kind
}

// unary parses signs, what they stand before, and what follows it. Filters bind to the whole, but not inside of a sign.
func (p *parser) unary(filters bool) expr {
	defer p.deeper()()
	var x expr
	if t := p.cur; p.is("-", "+") {
		p.advance()
		x = strict(t.line, func(r *render, v []Value) Value { return r.signed(t.kind, v[0]) }, p.unary(false))
	} else {
		x = p.primary()
	}
	x = p.postfix(x)
	for filters && p.is("|", "is") {
		if p.is("is") {
			x = p.test(x)
		} else {
			x = p.filters(x)
		}
	}
	return x
}

var constants = map[string]Value{"true": true, "True": true, "false": false, "False": false, "none": nil, "None": nil}

func (p *parser) primary() expr {
	t := p.cur
	switch t.kind {
	case tokName:
		p.advance()
		if v, ok := constants[t.text]; ok {
			return constant(v)
		}
		p.reads[t.text] = true
		for _, d := range p.macros { // Jinja sees a name in a nested macro as used by the outer one
			d.caller = d.caller || t.text == "caller"
			refuseIf(t.text == "varargs" || t.text == "kwargs", "%s of a macro", t.text)
		}
		return func(r *render, s *scope) Value {
			r.line = t.line
			return r.lookup(s, t.text)
		}
	case tokString:
		s := ""
		for p.is(tokString) {
			s += p.expect(tokString).text
		}
		return constant(s)
	case tokInt, tokFloat:
		p.advance()
		n, err := readNumber(strings.ReplaceAll(t.text, "_", ""))
		p.require(err == nil, "%v", err)
		return constant(n)
	case "(":
		p.advance()
		x := p.tuple(true)
		p.expect(")")
		return x
	case "[":
		var items []expr
		p.items("]", func() { items = append(items, p.expression()) })
		return sequenceOf(list, t.line, items)
	case "{":
		var pairs []expr
		p.items("}", func() {
			key := p.expression()
			p.expect(":")
			pairs = append(pairs, key, p.expression())
		})
		return strict(t.line, func(r *render, v []Value) Value {
			d := NewDict()
			for i := 0; i < len(v); i += 2 {
				r.put(d, v[i], v[i+1])
			}
			return d
		}, pairs...)
	}
	panic(errorf("TemplateSyntaxError", "unexpected %s", quoteRepr(describe(t))))
}

// tuple parses one expression, or several with commas as a tuple, which parens let be empty.
func (p *parser) tuple(parens bool) expr {
	var items []expr
	line := p.cur.line
	if p.commas(parens, func() { items = append(items, p.expression()) }) {
		return sequenceOf(tuple, line, items)
	}
	return items[0]
}

// commas parses elements with commas between and perhaps behind them, and says whether they make a tuple. None at all
// make one where empty is true.
func (p *parser) commas(empty bool, one func()) bool {
	n, comma := 0, empty
	for !p.is(tokVarEnd, tokBlkEnd, ")") {
		one()
		n++
		if comma = p.skip(","); !comma {
			break
		}
	}
	p.require(n > 0 || empty, "Expected an expression, got '%s'", describe(p.cur))
	return comma || n > 1
}

// items parses an opening bracket, elements with commas between and perhaps behind them, and the closing bracket.
func (p *parser) items(closing string, one func()) {
	p.advance()
	for n := 0; !p.is(closing); n++ {
		if n > 0 {
			p.expect(",")
			if p.is(closing) {
				break
			}
		}
		one()
	}
	p.advance()
}

// postfix parses attributes, subscripts and calls. last keeps the parts of a call for a call block, which adds an
// argument.
func (p *parser) postfix(x expr) expr {
	p.last = nil
	for n := p.depth; ; n++ {
		limit(n > 4*p.most, "nesting", int64(p.most)) // a long chain nests at run though it is parsed in a loop
		switch line := p.cur.line; p.cur.kind {
		case ".":
			p.advance()
			refuseIf(p.is(tokInt), "a number as an attribute")
			p.require(p.is(tokName) || keywords[p.cur.kind], "expected name or number")
			var name Value = p.word()
			x = strict(line, func(r *render, v []Value) Value { return r.getAttr(v[0], name) }, x)
			p.last = nil
		case "[":
			x = p.subscript(x)
			p.last = nil
		case "(":
			x = p.callOf(x)
		default:
			return x
		}
	}
}

// subscript parses an index, or a slice, whose bounds may be left out.
func (p *parser) subscript(x expr) expr {
	line := p.cur.line
	p.advance()
	var parts [3]expr
	n := 0
	for {
		if !p.is(":", "]") {
			parts[n] = p.expression()
		}
		if n == 2 || !p.skip(":") {
			break
		}
		n++
	}
	refuseIf(p.is(","), "a tuple as an index")
	p.require(n > 0 || parts[0] != nil, "Expected an expression, got '%s'", describe(p.cur))
	p.expect("]")
	if n == 0 {
		return strict(line, func(r *render, v []Value) Value { return r.getItem(v[0], v[1]) }, x, parts[0])
	}
	return strict(line, func(r *render, v []Value) Value { return r.slice(v[0], [3]Value(v[1:])) }, x, parts[0], parts[1], parts[2])
}

// callOf parses a call's arguments.
func (p *parser) callOf(x expr) expr {
	c := &call{line: p.cur.line}
	c.args = p.arguments()
	c.parts = c.args.behind(x)
	p.last = c
	return func(r *render, s *scope) Value { return c.run(r, s, nil) }
}

func (p *parser) arguments() (a arguments) {
	p.items(")", func() {
		refuseIf(p.is("*", "**"), "a call with %s", p.cur.kind)
		named := p.is(tokName) && p.lex.peek().kind == "="
		p.require(named || a.names == nil, "invalid syntax for function call expression")
		if named {
			name := p.expect(tokName).text
			refuseIf(name == "caller", "an argument named caller")
			a.names = append(a.names, name)
			p.advance()
		}
		a.exprs = append(a.exprs, p.expression())
	})
	return a
}

// filters parses a run of filters over x, each behind a "|".
func (p *parser) filters(x expr) expr {
	for n := p.depth; p.skip("|"); n++ {
		limit(n > 4*p.most, "nesting", int64(p.most))
		x = p.filter(x)
	}
	return x
}

func (p *parser) filter(x expr) expr {
	line := p.cur.line
	b := p.builtin("filter", filters)
	var a arguments
	if p.is("(") {
		a = p.arguments()
	}
	return apply(b, x, a, line)
}

func (p *parser) test(x expr) expr {
	line := p.cur.line
	p.advance()
	negated := p.skip("not")
	b := p.builtin("test", tests)
	p.require(!p.is("is"), "You cannot chain multiple tests with is")
	var a arguments
	if p.is("(") {
		a = p.arguments()
	} else if p.is(tokName, tokString, tokInt, tokFloat, "[", "{") {
		a.exprs = []expr{p.postfix(p.primary())}
	}
	x = apply(b, x, a, line)
	if negated {
		return not(x)
	}
	return x
}

// builtin parses the name of a filter or test. One that there is not fails where it is used, not here: templates have
// branches for other renderers, which are never taken.
func (p *parser) builtin(what string, t table) *builtin {
	name := p.word()
	if b := t[name]; b != nil {
		return b
	}
	class, text := "TemplateAssertionError", "No %s named %s."
	if slices.Contains(p.tags, "if") {
		class, text = "TemplateRuntimeError", "No %s named %s found."
	}
	return &builtin{raw: func(*render, Value, *args) Value { panic(errorf(class, text, what, quoteRepr(clip(name)))) }}
}
