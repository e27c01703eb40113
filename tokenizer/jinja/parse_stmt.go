package jinja

import "slices"

// refusedTags are Jinja's own tags that have no place here: a template has no files to load, and its output is not HTML.
var refusedTags = words("include import from extends block autoescape with print")

// statement parses a tag up to, not including, its end.
func (p *parser) statement(ends []string) stmt {
	t := p.cur
	if t.kind != tokName {
		panic(p.fail("tag name expected"))
	}
	parse := map[string]func() stmt{
		"if": p.ifTag, "for": p.forTag, "set": p.setTag, "macro": p.macroTag, "call": p.callTag,
		"filter": p.filterTag, "break": p.controlTag, "continue": p.controlTag,
	}[t.text]
	switch {
	case slices.Contains(p.blocks, t.text):
		parse = p.plainTag
	case refusedTags[t.text]:
		panic(unsupported("the tag '%s'", t.text))
	case parse == nil:
		panic(p.failEnd("Encountered unknown tag "+quoteRepr(clip(t.text))+".", ends))
	}
	p.tags = append(p.tags, t.text)
	p.advance()
	s := parse()
	p.tags = p.tags[:len(p.tags)-1]
	return s
}

func (p *parser) ifTag() stmt {
	p.inIf++
	defer func() { p.inIf-- }()
	s := &ifStmt{}
	for {
		test := p.tuple(false, "", false)
		body, end := p.block("elif", "else", "endif")
		s.tests = append(s.tests, test)
		s.bodies = append(s.bodies, body)
		switch end {
		case "endif":
			return s
		case "else":
			s.alt, _ = p.block("endif")
			return s
		}
	}
}

func (p *parser) forTag() stmt {
	s := &forStmt{line: p.cur.line}
	s.target = p.target("in", false)
	if !p.skipName("in") {
		panic(p.fail("expected token 'in', got '%s'", describe(p.cur)))
	}
	s.iter = p.tuple(false, "recursive", false)
	if p.skipName("if") {
		s.test = p.expression(true)
	}
	if p.isName("recursive") {
		panic(unsupported("a recursive for loop"))
	}
	p.inLoop++
	body, end := p.block("endfor", "else")
	p.inLoop--
	s.body = body
	if end == "else" {
		s.alt, _ = p.block("endfor")
	}
	return s
}

// controlTag parses break and continue, whose name has been taken.
func (p *parser) controlTag() stmt {
	name := p.tags[len(p.tags)-1]
	if p.inLoop == 0 {
		panic(p.fail("'%s' outside loop", name))
	}
	if name == "break" {
		return &controlStmt{next: breaks}
	}
	return &controlStmt{next: continues}
}

func (p *parser) setTag() stmt {
	line := p.cur.line
	target := p.target("", true)
	if p.skip("=") {
		return &setStmt{target: target, value: p.tuple(true, "", false), line: line}
	}
	s := &setBlock{target: target, line: line}
	if p.is("|") {
		s.filter = p.filters(nil, false)
	}
	s.body, _ = p.block("endset")
	return s
}

func (p *parser) filterTag() stmt {
	s := &filterBlock{line: p.cur.line, filter: p.filters(nil, true)}
	s.body, _ = p.block("endfilter")
	return s
}

// plainTag parses one of the parser's blocks.
func (p *parser) plainTag() stmt {
	body, _ := p.block("end" + p.tags[len(p.tags)-1])
	return &scopeBlock{body: body}
}

// target parses what can be assigned to. end is a name that ends a tuple; attrs admits a namespace's attribute.
func (p *parser) target(end string, attrs bool) target {
	p.deeper()
	defer p.up()
	var items []target
	comma := false
	for !p.is(tokVarEnd, tokBlkEnd, ")") && !p.isName(end) {
		items = append(items, p.oneTarget(attrs))
		if !p.is(",") {
			break
		}
		comma = true
		p.advance()
	}
	switch {
	case comma:
		return target{tuple: items}
	case len(items) == 0:
		panic(p.fail("Expected an expression, got '%s'", describe(p.cur)))
	}
	return items[0]
}

func (p *parser) oneTarget(attrs bool) target {
	t := p.cur
	if p.skip("(") {
		inner := p.target("", false)
		p.expect(")")
		return inner
	}
	if t.kind != tokName {
		panic(p.fail("can't assign to '%s'", describe(t)))
	}
	if _, ok := constants[t.text]; ok {
		panic(p.fail("can't assign to 'const'"))
	}
	p.advance()
	out := target{name: t.text}
	if attrs && p.skip(".") {
		out.attr = p.expect(tokName).text
	}
	return out
}

func (p *parser) macroTag() stmt {
	d := &macroDecl{line: p.cur.line, name: p.expect(tokName).text}
	p.signature(d)
	p.macroBody(d, "endmacro")
	return d
}

// macroBody parses the body and finds which special names it uses.
func (p *parser) macroBody(d *macroDecl, end string) {
	outer, loops, ifs := p.special, p.inLoop, p.inIf
	p.special, p.inLoop, p.inIf = map[string]bool{}, 0, 0
	d.body, _ = p.block(end)
	used := p.special
	p.special, p.inLoop, p.inIf = outer, loops, ifs
	for name := range used { // Jinja sees a name in a nested macro as used by the outer one
		if p.special != nil {
			p.special[name] = true
		}
	}
	for i, name := range d.params {
		if name == "caller" && used[name] && i < len(d.params)-len(d.defaults) {
			panic(p.fail(`When defining macros or call blocks the special "caller" argument must be omitted or be given a default.`))
		}
		delete(used, name)
	}
	d.caller, d.kwargs, d.varargs = used["caller"], used["kwargs"], used["varargs"]
}

func (p *parser) signature(d *macroDecl) {
	p.expect("(")
	for !p.is(")") {
		if len(d.params) > 0 {
			p.expect(",")
		}
		d.params = append(d.params, p.expect(tokName).text)
		if p.skip("=") {
			d.defaults = append(d.defaults, p.expression(true))
		} else if len(d.defaults) > 0 {
			panic(p.fail("non-default argument follows default argument"))
		}
	}
	p.expect(")")
}

func (p *parser) callTag() stmt {
	s := &callBlock{line: p.cur.line, decl: &macroDecl{line: p.cur.line}}
	if p.is("(") {
		p.signature(s.decl)
	}
	call, ok := p.expression(true).(*callExpr)
	if !ok {
		panic(p.fail("expected call"))
	}
	s.call = call
	p.macroBody(s.decl, "endcall")
	return s
}
