package jinja

// expression parses one expression; cond admits "a if b else c".
func (p *parser) expression(cond bool) (expr, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer p.up()
	if !cond {
		return p.logic(true)
	}
	line := p.cur.line
	p.soft++ // Jinja learns only later that a condition follows; so do we
	x, err := p.logic(true)
	p.soft--
	if err != nil {
		return nil, err
	}
	for {
		ok, err := p.skipName("if")
		if err != nil {
			return nil, err
		}
		if !ok {
			if p.pending != nil && p.soft == 0 {
				return nil, p.pending
			}
			return x, nil
		}
		if p.soft == 0 {
			p.pending = nil
		}
		c := &condExpr{then: x, line: line}
		p.soft++
		c.test, err = p.logic(true)
		if err == nil {
			ok, err = p.skipName("else")
		}
		if err == nil && ok {
			c.alt, err = p.expression(true)
		}
		p.soft--
		if err != nil {
			return nil, err
		}
		if p.soft == 0 {
			p.pending = nil
		}
		x = c
		line = p.cur.line
	}
}

// logic parses a run of "or" (or = true) over runs of "and".
func (p *parser) logic(or bool) (expr, error) {
	word, part := "and", p.not
	if or {
		word, part = "or", func() (expr, error) { return p.logic(false) }
	}
	first, err := part()
	if err != nil || !p.isName(word) {
		return first, err
	}
	l := &logicExpr{or: or, parts: []expr{first}}
	for p.isName(word) {
		if err := p.advance(); err != nil {
			return nil, err
		}
		x, err := part()
		if err != nil {
			return nil, err
		}
		l.parts = append(l.parts, x)
	}
	return l, nil
}

func (p *parser) not() (expr, error) {
	if !p.isName("not") {
		return p.compare()
	}
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer p.up()
	if err := p.advance(); err != nil {
		return nil, err
	}
	x, err := p.not()
	return &notExpr{x: x}, err
}

func (p *parser) compare() (expr, error) {
	line := p.cur.line
	first, err := p.math(0)
	if err != nil {
		return nil, err
	}
	c := &compareExpr{first: first, line: line}
	for {
		op := ""
		switch p.cur.kind {
		case "==", "!=", "<", "<=", ">", ">=":
			op = p.cur.kind
		case tokName:
			switch p.cur.text {
			case "in":
				op = "in"
			case "not":
				next, err := p.look()
				if err != nil {
					return nil, err
				}
				if next.kind == tokName && next.text == "in" {
					op = "not in"
					if err := p.advance(); err != nil {
						return nil, err
					}
				}
			}
		}
		if op == "" {
			break
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		x, err := p.math(0)
		if err != nil {
			return nil, err
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, x)
	}
	if len(c.ops) == 0 {
		return first, nil
	}
	return c, nil
}

// mathOps are the left-associative levels, loosest first; "~" binds between
// the sums and the products.
var mathOps = [][]string{{"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}}

func (p *parser) math(level int) (expr, error) {
	if level == len(mathOps) {
		return p.unary(true)
	}
	line := p.cur.line
	first, err := p.math(level + 1)
	if err != nil {
		return nil, err
	}
	c := &chainExpr{first: first, line: line}
	for {
		op := ""
		for _, o := range mathOps[level] {
			if p.cur.kind == o {
				op = o
			}
		}
		if op == "" {
			break
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		x, err := p.math(level + 1)
		if err != nil {
			return nil, err
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, x)
	}
	switch {
	case len(c.ops) == 0:
		return first, nil
	case c.ops[0] == "~":
		return &concatExpr{parts: append([]expr{first}, c.rest...), line: line}, nil
	}
	return c, nil
}

func (p *parser) unary(filters bool) (expr, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer p.up()
	var x expr
	var err error
	if t := p.cur; t.kind == "-" || t.kind == "+" {
		if err := p.advance(); err != nil {
			return nil, err
		}
		x, err = p.unary(false)
		x = &unaryExpr{op: t.kind, x: x, line: t.line}
	} else {
		x, err = p.primary()
	}
	if err != nil {
		return nil, err
	}
	if x, err = p.postfix(x); err != nil || !filters {
		return x, err
	}
	for err == nil {
		switch {
		case p.is("|"):
			x, err = p.filters(x, false)
		case p.isName("is"):
			x, err = p.test(x)
		case p.is("("):
			x, err = p.call(x)
		default:
			return x, nil
		}
	}
	return nil, err
}

func (p *parser) primary() (expr, error) {
	t := p.cur
	switch t.kind {
	case tokName:
		if err := p.advance(); err != nil {
			return nil, err
		}
		switch t.text {
		case "true", "True":
			return &constExpr{v: true}, nil
		case "false", "False":
			return &constExpr{v: false}, nil
		case "none", "None":
			return &constExpr{v: nil}, nil
		case "caller", "kwargs", "varargs":
			if p.special != nil {
				p.special[t.text] = true
			}
		}
		return &nameExpr{name: t.text, line: t.line}, nil
	case tokString:
		s := t.text
		if err := p.advance(); err != nil {
			return nil, err
		}
		for p.is(tokString) {
			s += p.cur.text
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		return &constExpr{v: s}, nil
	case tokInt, tokFloat:
		return &constExpr{v: t.num}, p.advance()
	case "(":
		if err := p.advance(); err != nil {
			return nil, err
		}
		x, err := p.tuple(true, nil, true)
		if err != nil {
			return nil, err
		}
		_, err = p.expect(")")
		return x, err
	case "[":
		return p.listLiteral()
	case "{":
		return p.dictLiteral()
	case tokEOF:
		return nil, p.fail(t.line, "unexpected 'end of template'")
	}
	return nil, p.fail(t.line, "unexpected %s", quoteRepr(describe(t)))
}

// tuple parses one expression, or several with commas as a tuple.
func (p *parser) tuple(cond bool, ends []string, parens bool) (expr, error) {
	var items []expr
	isTuple := false
	for !p.is(tokVarEnd) && !p.is(tokBlkEnd) && !p.is(")") && !p.isName(ends...) {
		x, err := p.expression(cond)
		if err != nil {
			return nil, err
		}
		items = append(items, x)
		if !p.is(",") {
			break
		}
		isTuple = true
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	if !isTuple {
		if len(items) == 1 {
			return items[0], nil
		}
		if !parens {
			return nil, p.fail(p.cur.line, "Expected an expression, got '%s'", describe(p.cur))
		}
	}
	return &tupleExpr{items: items}, nil
}

func (p *parser) listLiteral() (expr, error) {
	l := &listExpr{}
	err := p.items("]", func() error {
		x, err := p.expression(true)
		l.items = append(l.items, x)
		return err
	})
	return l, err
}

func (p *parser) dictLiteral() (expr, error) {
	d := &dictExpr{}
	err := p.items("}", func() error {
		k, err := p.expression(true)
		if err != nil {
			return err
		}
		if _, err := p.expect(":"); err != nil {
			return err
		}
		v, err := p.expression(true)
		d.keys = append(d.keys, k)
		d.vals = append(d.vals, v)
		return err
	})
	return d, err
}

// items parses an opening bracket, elements with commas, the closing bracket.
func (p *parser) items(closing string, one func() error) error {
	if err := p.advance(); err != nil {
		return err
	}
	for n := 0; !p.is(closing); n++ {
		if n > 0 {
			if _, err := p.expect(","); err != nil {
				return err
			}
			if p.is(closing) {
				break
			}
		}
		if err := one(); err != nil {
			return err
		}
	}
	return p.advance()
}
