package jinja

// postfix parses attributes, subscripts and calls.
func (p *parser) postfix(x expr) (expr, error) {
	for chain := 0; ; chain++ {
		// A long chain nests at run though it is parsed in a loop.
		if p.depth+chain > 4*p.most {
			return nil, &LimitError{What: "nesting", Limit: int64(p.most), Line: p.cur.line}
		}
		var err error
		switch p.cur.kind {
		case ".":
			x, err = p.dotted(x)
		case "[":
			x, err = p.subscript(x)
		case "(":
			x, err = p.call(x)
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) dotted(x expr) (expr, error) {
	line := p.cur.line
	if err := p.advance(); err != nil {
		return nil, err
	}
	t := p.cur
	switch t.kind {
	case tokName:
		return &attrExpr{x: x, name: t.text, line: line}, p.advance()
	case tokInt:
		return &itemExpr{x: x, key: &constExpr{v: t.num}, line: line}, p.advance()
	}
	return nil, p.fail(t.line, "expected name or number")
}

func (p *parser) subscript(x expr) (expr, error) {
	line := p.cur.line
	if err := p.advance(); err != nil {
		return nil, err
	}
	var keys []expr
	for !p.is("]") {
		if len(keys) > 0 {
			if _, err := p.expect(","); err != nil {
				return nil, err
			}
		}
		k, err := p.subscribed()
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if len(keys) == 1 {
		return &itemExpr{x: x, key: keys[0], line: line}, nil
	}
	return &itemExpr{x: x, key: &tupleExpr{items: keys}, line: line}, nil
}

// subscribed parses an index or a slice.
func (p *parser) subscribed() (expr, error) {
	var s sliceExpr
	var err error
	if !p.is(":") {
		x, err := p.expression(true)
		if err != nil || !p.is(":") {
			return x, err
		}
		s.start = x
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.is(":") && !p.is("]") && !p.is(",") {
		if s.stop, err = p.expression(true); err != nil {
			return nil, err
		}
	}
	if p.is(":") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if !p.is("]") && !p.is(",") {
			if s.step, err = p.expression(true); err != nil {
				return nil, err
			}
		}
	}
	return &s, nil
}

func (p *parser) call(x expr) (expr, error) {
	line := p.cur.line
	a, err := p.callArgs()
	return &callExpr{fn: x, args: a, line: line}, err
}

func (p *parser) callArgs() (callArgs, error) {
	var a callArgs
	line := p.cur.line
	if err := p.advance(); err != nil {
		return a, err
	}
	wrong := func() error { return p.fail(line, "invalid syntax for function call expression") }
	for n := 0; !p.is(")"); n++ {
		if n > 0 {
			if _, err := p.expect(","); err != nil {
				return a, err
			}
			if p.is(")") {
				break
			}
		}
		if err := p.callArg(&a, wrong); err != nil {
			return a, err
		}
	}
	return a, p.advance()
}

func (p *parser) callArg(a *callArgs, wrong func() error) error {
	switch {
	case p.is("*"):
		if a.star != nil || a.starStar != nil {
			return wrong()
		}
		if err := p.advance(); err != nil {
			return err
		}
		x, err := p.expression(true)
		a.star = x
		return err
	case p.is("**"):
		if a.starStar != nil {
			return wrong()
		}
		if err := p.advance(); err != nil {
			return err
		}
		x, err := p.expression(true)
		a.starStar = x
		return err
	case p.is(tokName):
		next, err := p.look()
		if err != nil {
			return err
		}
		if next.kind != "=" {
			break
		}
		if a.starStar != nil {
			return wrong()
		}
		name := p.cur.text
		if err := p.advance(); err != nil {
			return err
		}
		if err := p.advance(); err != nil {
			return err
		}
		x, err := p.expression(true)
		a.kwNames = append(a.kwNames, name)
		a.kwVals = append(a.kwVals, x)
		return err
	}
	if a.star != nil || a.starStar != nil || len(a.kwNames) > 0 {
		return wrong()
	}
	x, err := p.expression(true)
	a.pos = append(a.pos, x)
	return err
}

// dottedName parses the name of a filter or test.
func (p *parser) dottedName() (string, error) {
	t, err := p.expect(tokName)
	if err != nil {
		return "", err
	}
	name := t.text
	for p.is(".") {
		if err := p.advance(); err != nil {
			return "", err
		}
		t, err := p.expect(tokName)
		if err != nil {
			return "", err
		}
		name += "." + t.text
	}
	return name, nil
}

// filters parses a run of filters over x (nil: a block's text). inline: the
// first has no "|" before it.
func (p *parser) filters(x expr, inline bool) (expr, error) {
	for n := 0; p.is("|") || inline; n++ {
		if p.depth+n > 4*p.most {
			return nil, &LimitError{What: "nesting", Limit: int64(p.most), Line: p.cur.line}
		}
		if !inline {
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		inline = false
		f := &filterExpr{x: x, line: p.cur.line}
		var err error
		if f.name, err = p.dottedName(); err != nil {
			return nil, err
		}
		if filterTable[f.name] == nil {
			if refusedFilters[f.name] {
				return nil, atLine(unsupported("filter '%s' is not supported", f.name), f.line)
			}
			if err := p.unknown("filter", f.name, f.line); err != nil {
				return nil, err
			}
		}
		if p.is("(") {
			if f.args, err = p.callArgs(); err != nil {
				return nil, err
			}
		}
		x = f
	}
	return x, nil
}

func (p *parser) test(x expr) (expr, error) {
	line := p.cur.line
	if err := p.advance(); err != nil {
		return nil, err
	}
	negated, err := p.skipName("not")
	if err != nil {
		return nil, err
	}
	t := &testExpr{x: x, line: line}
	if t.name, err = p.dottedName(); err != nil {
		return nil, err
	}
	if testTable[t.name] == nil {
		if err := p.unknown("test", t.name, line); err != nil {
			return nil, err
		}
	}
	switch p.cur.kind {
	case "(":
		if t.args, err = p.callArgs(); err != nil {
			return nil, err
		}
	case tokName, tokString, tokInt, tokFloat, "[", "{":
		if p.isName("else", "or", "and") {
			break
		}
		if p.isName("is") {
			return nil, p.fail(p.cur.line, "You cannot chain multiple tests with is")
		}
		arg, err := p.primary()
		if err == nil {
			arg, err = p.postfix(arg)
		}
		if err != nil {
			return nil, err
		}
		t.args.pos = []expr{arg}
	}
	if negated {
		return &notExpr{x: t}, nil
	}
	return t, nil
}

// unknown fails for an unknown filter or test, but not where Jinja waits until
// it is used: inside if, and on either side of a conditional expression.
func (p *parser) unknown(what, name string, line int) error {
	err := atLine(failf("TemplateAssertionError", "No %s named %s.", what, quoteRepr(clip(name))), line)
	if p.soft == 0 {
		return err
	}
	if p.pending == nil {
		p.pending = err
	}
	return nil
}
