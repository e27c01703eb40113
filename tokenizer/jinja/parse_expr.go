package jinja

import "slices"

// levels are the binary operators, loosest first, all of them left-associative; "not", a prefix, stands between "and" and
// the comparisons.
var levels = [...][]string{
	{"or"},
	{"and"},
	{"==", "!=", "<", "<=", ">", ">=", "in", "not in"},
	{"+", "-"},
	{"~"},
	{"*", "/", "//", "%"},
	{"**"},
}

const compareLevel = 2

// expression parses one expression; cond admits "a if b else c".
func (p *parser) expression(cond bool) expr {
	p.deeper()
	defer p.up()
	x := p.binary(0)
	for cond && p.skipName("if") {
		c := &condExpr{then: x, test: p.binary(0)}
		if p.skipName("else") {
			c.alt = p.expression(true)
		}
		x = c
	}
	return x
}

// binary parses a run of operators of one level over operands of the next. A run is one node, so that a long sum neither
// nests nor copies its text again for every term.
func (p *parser) binary(level int) expr {
	switch {
	case level == len(levels):
		return p.unary(true)
	case level == compareLevel && p.isName("not"):
		p.deeper()
		defer p.up()
		p.advance()
		return &notExpr{x: p.binary(level)}
	}
	run := run{first: p.binary(level + 1), line: p.cur.line}
	for {
		op := p.operator()
		if !slices.Contains(levels[level], op) {
			break
		}
		if op == "not in" {
			p.advance()
		}
		p.advance()
		run.ops = append(run.ops, op)
		run.rest = append(run.rest, p.binary(level+1))
	}
	switch {
	case run.ops == nil:
		return run.first
	case level < compareLevel:
		return &logicExpr{run}
	case level == compareLevel:
		return &compareExpr{run}
	case run.ops[0] == "~":
		return &concatExpr{run}
	}
	return &arithExpr{run}
}

// operator is the binary operator that the current token is or begins.
func (p *parser) operator() string {
	switch {
	case p.isName("or", "and", "in"):
		return p.cur.text
	case p.isName("not"):
		if next := p.look(); next.kind == tokName && next.text == "in" {
			return "not in"
		}
	case p.cur.kind != tokName:
		return p.cur.kind
	}
	return ""
}

// unary parses signs, what they stand before, and what follows it. Filters bind to the whole, but not inside of a sign.
func (p *parser) unary(filters bool) expr {
	p.deeper()
	defer p.up()
	var x expr
	if t := p.cur; p.is("-", "+") {
		p.advance()
		x = &signExpr{op: t.kind, x: p.unary(false), line: t.line}
	} else {
		x = p.primary()
	}
	x = p.postfix(x)
	for filters {
		switch {
		case p.is("|"):
			x = p.filters(x, false)
		case p.isName("is"):
			x = p.test(x)
		case p.is("("):
			x = p.call(x)
		default:
			return x
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
			return &constExpr{v: v}
		}
		if p.special != nil {
			p.special[t.text] = true
		}
		return &nameExpr{name: t.text, line: t.line}
	case tokString:
		s := ""
		for p.is(tokString) {
			s += p.expect(tokString).text
		}
		return &constExpr{v: s}
	case tokInt, tokFloat:
		p.advance()
		return &constExpr{v: t.num}
	case "(":
		p.advance()
		x := p.tuple(true, "", true)
		p.expect(")")
		return x
	case "[":
		l := &listExpr{kind: list}
		p.items("]", func() { l.items = append(l.items, p.expression(true)) })
		return l
	case "{":
		d := &dictExpr{}
		p.items("}", func() {
			d.keys = append(d.keys, p.expression(true))
			p.expect(":")
			d.vals = append(d.vals, p.expression(true))
		})
		return d
	}
	panic(p.fail("unexpected %s", quoteRepr(describe(t))))
}

// tuple parses one expression, or several with commas as a tuple. end is a name that ends it.
func (p *parser) tuple(cond bool, end string, parens bool) expr {
	var items []expr
	comma := false
	for !p.is(tokVarEnd, tokBlkEnd, ")") && !p.isName(end) {
		items = append(items, p.expression(cond))
		if !p.is(",") {
			break
		}
		comma = true
		p.advance()
	}
	switch {
	case len(items) == 1 && !comma:
		return items[0]
	case len(items) == 0 && !parens:
		panic(p.fail("Expected an expression, got '%s'", describe(p.cur)))
	}
	return &listExpr{items: items, kind: tuple}
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

// postfix parses attributes, subscripts and calls.
func (p *parser) postfix(x expr) expr {
	for n := p.depth; ; n++ {
		p.bound(n, 4*p.most) // a long chain nests at run though it is parsed in a loop
		line := p.cur.line
		switch p.cur.kind {
		case ".":
			p.advance()
			switch t := p.cur; t.kind {
			case tokName:
				x = &attrExpr{x: x, name: t.text, line: line}
			case tokInt:
				x = &itemExpr{x: x, key: &constExpr{v: t.num}, line: line}
			default:
				panic(p.fail("expected name or number"))
			}
			p.advance()
		case "[":
			x = p.subscript(x)
		case "(":
			x = p.call(x)
		default:
			return x
		}
	}
}

// subscript parses an index, a tuple of them, or a slice.
func (p *parser) subscript(x expr) expr {
	line := p.cur.line
	var keys []expr
	var cut *sliceExpr
	n := 0
	p.items("]", func() {
		n++
		if k := p.slice(x, line); k != nil {
			cut = k
			return
		}
		keys = append(keys, p.expression(true))
		if p.is(":") {
			cut = p.slice(x, line)
			cut.parts[0] = keys[len(keys)-1]
		}
	})
	switch {
	case cut != nil && n > 1:
		panic(unsupported("a slice in a tuple index"))
	case cut != nil:
		return cut
	case len(keys) == 1:
		return &itemExpr{x: x, key: keys[0], line: line}
	}
	return &itemExpr{x: x, key: &listExpr{items: keys, kind: tuple}, line: line}
}

// slice parses ":stop:step", if it is next.
func (p *parser) slice(x expr, line int) *sliceExpr {
	if !p.is(":") {
		return nil
	}
	s := &sliceExpr{x: x, line: line}
	for i := 1; i < 3 && p.skip(":"); i++ {
		if !p.is(":", "]", ",") {
			s.parts[i] = p.expression(true)
		}
	}
	return s
}

func (p *parser) call(x expr) expr {
	line := p.cur.line
	return &callExpr{fn: x, args: p.callArgs(), line: line}
}

func (p *parser) callArgs() callArgs {
	var a callArgs
	p.items(")", func() {
		switch {
		case a.starStar != nil || a.star != nil && p.is("*"):
			panic(p.fail("invalid syntax for function call expression"))
		case p.skip("*"):
			a.star = p.expression(true)
		case p.skip("**"):
			a.starStar = p.expression(true)
		case p.is(tokName) && p.look().kind == "=":
			a.kwNames = append(a.kwNames, p.cur.text)
			p.advance()
			p.advance()
			a.kwVals = append(a.kwVals, p.expression(true))
		case a.star != nil || a.kwNames != nil:
			panic(p.fail("invalid syntax for function call expression"))
		default:
			a.pos = append(a.pos, p.expression(true))
		}
	})
	return a
}

// filters parses a run of filters over x (nil: a block's text). inline: the first has no "|" before it.
func (p *parser) filters(x expr, inline bool) expr {
	for n := p.depth; p.is("|") || inline; n++ {
		p.bound(n, 4*p.most)
		if !inline {
			p.advance()
		}
		inline = false
		f := &filterExpr{x: x, line: p.cur.line}
		name := p.dottedName()
		f.filter, f.unknown = filters[name], p.unknown("filter", name, refusedFilters)
		if p.is("(") {
			f.args = p.callArgs()
		}
		x = f
	}
	return x
}

// dottedName parses the name of a filter or test.
func (p *parser) dottedName() string {
	name := p.expect(tokName).text
	for p.skip(".") {
		name += "." + p.expect(tokName).text
	}
	return name
}

func (p *parser) test(x expr) expr {
	t := &testExpr{x: x, line: p.cur.line}
	p.advance()
	negated := p.skipName("not")
	name := p.dottedName()
	t.test, t.unknown = tests[name], p.unknown("test", name, refusedTests)
	switch {
	case p.is("("):
		t.args = p.callArgs()
	case p.isName("is"):
		panic(p.fail("You cannot chain multiple tests with is"))
	case p.is(tokName, tokString, tokInt, tokFloat, "[", "{") && !p.isName("else", "or", "and"):
		t.args.pos = []expr{p.postfix(p.primary())}
	}
	if negated {
		return &notExpr{x: t}
	}
	return t
}

// unknown is the error of a filter or test that there is not. It is kept for the render that comes to it: templates have
// branches for other renderers, which are never taken here.
func (p *parser) unknown(what, name string, refused map[string]bool) *Error {
	e := errorf("TemplateAssertionError", "No %s named %s.", what, quoteRepr(clip(name)))
	switch {
	case refused[name]:
		e = unsupported("the %s '%s'", what, name)
	case p.inIf > 0:
		e = errorf("TemplateRuntimeError", "No %s named %s found.", what, quoteRepr(clip(name)))
	}
	e.Line = p.cur.line
	return e
}
