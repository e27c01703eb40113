package jinja

func (p *parser) macroTag() (stmt, error) {
	d := &macroDecl{line: p.cur.line}
	if err := p.advance(); err != nil {
		return nil, err
	}
	name, err := p.expect(tokName)
	if err != nil {
		return nil, err
	}
	d.name = name.text
	if err := p.signature(d); err != nil {
		return nil, err
	}
	return d, p.macroBody(d, "endmacro")
}

// macroBody parses the body and finds which special names it uses.
func (p *parser) macroBody(d *macroDecl, end string) error {
	outer, loops, soft := p.special, p.inLoop, p.soft
	p.special, p.inLoop, p.soft = map[string]bool{}, 0, 0
	var err error
	d.body, _, err = p.block(end)
	d.caller, d.kwargs, d.varargs = p.special["caller"], p.special["kwargs"], p.special["varargs"]
	for _, name := range d.params {
		switch name {
		case "kwargs":
			d.kwargs = false
		case "varargs":
			d.varargs = false
		}
	}
	used := p.special
	p.special, p.inLoop, p.soft = outer, loops, soft
	// Jinja sees a special name in a nested macro as used by the outer one.
	for name := range used {
		if p.special != nil {
			p.special[name] = true
		}
	}
	if err != nil {
		return err
	}
	if d.caller {
		for i, name := range d.params {
			if name != "caller" {
				continue
			}
			if i < len(d.params)-len(d.defaults) {
				return p.fail(d.line, "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.")
			}
			d.caller = false
		}
	}
	return nil
}

func (p *parser) signature(d *macroDecl) error {
	if _, err := p.expect("("); err != nil {
		return err
	}
	for !p.is(")") {
		if len(d.params) > 0 {
			if _, err := p.expect(","); err != nil {
				return err
			}
		}
		name, err := p.expect(tokName)
		if err != nil {
			return err
		}
		d.params = append(d.params, name.text)
		if ok, err := p.skip("="); err != nil {
			return err
		} else if ok {
			v, err := p.expression(true)
			if err != nil {
				return err
			}
			d.defaults = append(d.defaults, v)
		} else if len(d.defaults) > 0 {
			return p.fail(p.cur.line, "non-default argument follows default argument")
		}
	}
	_, err := p.expect(")")
	return err
}

func (p *parser) callTag() (stmt, error) {
	s := &callBlock{line: p.cur.line, decl: &macroDecl{line: p.cur.line}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.is("(") {
		if err := p.signature(s.decl); err != nil {
			return nil, err
		}
	}
	x, err := p.expression(true)
	if err != nil {
		return nil, err
	}
	call, ok := x.(*callExpr)
	if !ok {
		return nil, p.fail(s.line, "expected call")
	}
	s.call = call
	return s, p.macroBody(s.decl, "endcall")
}
