package jinja

// refusedTags are Jinja's own tags that the subset leaves out: a template has
// no files to load and its output is not HTML.
var refusedTags = map[string]string{
	"include":    "loads another file",
	"import":     "loads another file",
	"from":       "loads another file",
	"extends":    "loads another file",
	"block":      "template inheritance",
	"autoescape": "HTML escaping",
}

// statement parses a tag up to, not including, its block_end.
func (p *parser) statement(ends []string) ([]stmt, error) {
	t := p.cur
	if t.kind != tokName {
		return nil, p.fail(t.line, "tag name expected")
	}
	if why, ok := refusedTags[t.text]; ok {
		return nil, atLine(unsupported("tag '%s' is not supported: %s", t.text, why), t.line)
	}
	parse := map[string]func() (stmt, error){
		"if": p.ifTag, "for": p.forTag, "set": p.setTag, "with": p.withTag, "macro": p.macroTag,
		"call": p.callTag, "filter": p.filterTag, "break": p.controlTag, "continue": p.controlTag,
	}[t.text]
	switch {
	case t.text == "generation" && p.generation:
		parse = p.generationTag
	case t.text == "print":
		return p.printTag()
	case parse == nil:
		return nil, p.failEnd(t.text, ends)
	}
	p.tags = append(p.tags, t.text)
	s, err := parse()
	p.tags = p.tags[:len(p.tags)-1]
	return []stmt{s}, err
}

func (p *parser) printTag() ([]stmt, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	var out []stmt
	for !p.is(tokBlkEnd) {
		if len(out) > 0 {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
		}
		line := p.cur.line
		x, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		out = append(out, &outputStmt{x: x, line: line})
	}
	return out, nil
}

func (p *parser) ifTag() (stmt, error) {
	s := &ifStmt{}
	p.soft++
	defer func() { p.soft-- }()
	if err := p.advance(); err != nil {
		return nil, err
	}
	for {
		test, err := p.tuple(false, nil, false)
		if err != nil {
			return nil, err
		}
		body, end, err := p.block("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		s.tests = append(s.tests, test)
		s.bodies = append(s.bodies, body)
		switch end {
		case "endif":
			return s, nil
		case "else":
			s.alt, _, err = p.block("endif")
			return s, err
		}
	}
}

func (p *parser) forTag() (stmt, error) {
	line := p.cur.line
	if err := p.advance(); err != nil {
		return nil, err
	}
	s := &forStmt{line: line}
	var err error
	if s.target, err = p.target("in", false); err != nil {
		return nil, err
	}
	if ok, err := p.skipName("in"); err != nil || !ok {
		if err == nil {
			err = p.fail(p.cur.line, "expected token 'in', got '%s'", describe(p.cur))
		}
		return nil, err
	}
	if s.iter, err = p.tuple(false, []string{"recursive"}, false); err != nil {
		return nil, err
	}
	if ok, err := p.skipName("if"); err != nil {
		return nil, err
	} else if ok {
		if s.test, err = p.expression(true); err != nil {
			return nil, err
		}
	}
	if p.isName("recursive") {
		return nil, atLine(unsupported("a recursive for loop is not supported; use a macro"), line)
	}
	// A loop body is compiled afresh: unknown filters in it fail at parse.
	soft := p.soft
	p.soft = 0
	p.inLoop++
	body, end, err := p.block("endfor", "else")
	p.inLoop--
	p.soft = soft
	if err != nil {
		return nil, err
	}
	s.body = body
	if end == "else" {
		s.alt, _, err = p.block("endfor")
	}
	return s, err
}

func (p *parser) controlTag() (stmt, error) {
	t := p.cur
	if p.inLoop == 0 {
		return nil, p.fail(t.line, "'%s' outside loop", t.text)
	}
	return &loopControl{stop: t.text == "break"}, p.advance()
}

func (p *parser) setTag() (stmt, error) {
	line := p.cur.line
	if err := p.advance(); err != nil {
		return nil, err
	}
	tgt, err := p.target("", true)
	if err != nil {
		return nil, err
	}
	if ok, err := p.skip("="); err != nil {
		return nil, err
	} else if ok {
		v, err := p.tuple(true, nil, false)
		return &setStmt{target: tgt, value: v, line: line}, err
	}
	s := &setBlock{target: tgt, line: line}
	if p.is("|") {
		if s.filter, err = p.filters(nil, false); err != nil {
			return nil, err
		}
	}
	s.body, _, err = p.block("endset")
	return s, err
}

func (p *parser) withTag() (stmt, error) {
	s := &withStmt{line: p.cur.line}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for !p.is(tokBlkEnd) {
		if len(s.targets) > 0 {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
		}
		tgt, err := p.target("", false)
		if err != nil {
			return nil, err
		}
		if _, err := p.expect("="); err != nil {
			return nil, err
		}
		v, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		s.targets = append(s.targets, tgt)
		s.values = append(s.values, v)
	}
	var err error
	s.body, _, err = p.block("endwith")
	return s, err
}

func (p *parser) filterTag() (stmt, error) {
	s := &filterBlock{line: p.cur.line}
	if err := p.advance(); err != nil {
		return nil, err
	}
	var err error
	if s.filter, err = p.filters(nil, true); err != nil {
		return nil, err
	}
	s.body, _, err = p.block("endfilter")
	return s, err
}

// generationTag is Hugging Face's marker for assistant text: it renders its
// body.
func (p *parser) generationTag() (stmt, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	body, _, err := p.block("endgeneration")
	return &scopeBlock{body: body}, err
}

// target parses what can be assigned to. stop is a name that ends a tuple.
func (p *parser) target(stop string, attrs bool) (target, error) {
	line := p.cur.line
	var items []target
	isTuple := false
	for !p.is(tokVarEnd) && !p.is(tokBlkEnd) && !p.is(")") && !p.isName(stop) {
		t, err := p.oneTarget(attrs)
		if err != nil {
			return target{}, err
		}
		items = append(items, t)
		if !p.is(",") {
			break
		}
		isTuple = true
		if err := p.advance(); err != nil {
			return target{}, err
		}
	}
	if !isTuple {
		if len(items) == 0 {
			return target{}, p.fail(line, "Expected an expression, got '%s'", describe(p.cur))
		}
		return items[0], nil
	}
	return target{tuple: items, line: line}, nil
}

func (p *parser) oneTarget(attrs bool) (target, error) {
	if err := p.deeper(); err != nil {
		return target{}, err
	}
	defer p.up()
	t := p.cur
	if ok, err := p.skip("("); err != nil {
		return target{}, err
	} else if ok {
		inner, err := p.target("", false)
		if err != nil {
			return target{}, err
		}
		_, err = p.expect(")")
		return inner, err
	}
	if t.kind != tokName {
		return target{}, p.fail(t.line, "can't assign to '%s'", describe(t))
	}
	if reservedNames[t.text] {
		return target{}, p.fail(t.line, "can't assign to 'const'")
	}
	if err := p.advance(); err != nil {
		return target{}, err
	}
	out := target{name: t.text, line: t.line}
	if attrs && p.is(".") {
		if err := p.advance(); err != nil {
			return target{}, err
		}
		attr, err := p.expect(tokName)
		if err != nil {
			return target{}, err
		}
		out.attr = attr.text
	}
	return out, nil
}

var reservedNames = map[string]bool{
	"true": true, "false": true, "none": true, "True": true, "False": true, "None": true,
}
