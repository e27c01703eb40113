package jinja

import "slices"

// refusedTags are Jinja's own tags that have no place here: a template has no files to load, and its output is not HTML.
var refusedTags = words("include import from extends block autoescape with print")

// statement parses a tag up to, not including, its end.
func (p *parser) statement(ends []string) stmt {
	tag := p.cur.text
	parse := map[string]func() stmt{
		"if": p.ifTag, "for": p.forTag, "set": p.setTag, "macro": p.macroTag, "call": p.callTag,
		"filter": p.filterTag, "break": p.controlTag, "continue": p.controlTag,
	}[tag]
	p.require(p.is(tokName, "if"), "tag name expected")
	refuseIf(refusedTags[tag], "the tag '%s'", tag)
	if slices.Contains(p.blocks, tag) {
		parse = p.plainTag
	} else if parse == nil {
		panic(p.failEnd("Encountered unknown tag "+quoteRepr(clip(tag))+".", ends))
	}
	p.tags = append(p.tags, tag)
	p.advance()
	s := parse()
	p.tags = p.tags[:len(p.tags)-1]
	return s
}

// ifTag parses what follows if or elif.
func (p *parser) ifTag() stmt {
	test := p.tuple(false)
	body, end := p.block("elif", "else", "endif")
	var alt []stmt
	switch end {
	case "elif":
		alt = []stmt{p.ifTag()}
	case "else":
		alt, _ = p.block("endif")
	}
	return func(r *render, s *scope) flow {
		if truth(r.eval(test, s)) {
			return r.run(body, s)
		}
		return r.run(alt, s)
	}
}

func (p *parser) forTag() stmt {
	line := p.cur.line
	target := p.target(false)
	p.expect("in")
	iter := p.binary(0)
	refuseIf(p.is(","), "a tuple without parentheses behind 'in'")
	var test expr
	if p.skip("if") {
		test = p.expression()
	}
	refuseIf(p.is(tokName) && p.cur.text == "recursive", "a recursive for loop")
	p.inLoop++
	body, end := p.block("endfor", "else")
	p.inLoop--
	var alt []stmt
	if end == "else" {
		alt, _ = p.block("endfor")
	}
	return func(r *render, s *scope) flow {
		all := r.eval(iter, s)
		r.line = line
		l := &loop{r: r, rest: r.items(all)}
		if test != nil {
			l.keep = func(v Value) bool {
				turn := &scope{parent: s}
				r.assign(&target, v, turn)
				return truth(r.eval(test, turn))
			}
		}
		for ; l.has(0); l.index0++ {
			turn := &scope{parent: s}
			r.line = line
			r.set(turn, "loop", l)
			r.assign(&target, l.items[l.index0], turn)
			if r.run(body, turn) == breaks {
				return goesOn
			}
		}
		if l.index0 > 0 {
			return goesOn
		}
		return r.run(alt, &scope{parent: s})
	}
}

// controlTag parses break and continue, whose name has been taken.
func (p *parser) controlTag() stmt {
	name := p.tags[len(p.tags)-1]
	p.require(p.inLoop != 0, "'%s' outside loop", name)
	f := map[string]flow{"break": breaks, "continue": continues}[name]
	return func(*render, *scope) flow { return f }
}

func (p *parser) setTag() stmt {
	line := p.cur.line
	target := p.target(true)
	var value expr
	if p.skip("=") {
		value = p.tuple(false)
	} else {
		value = p.captured("endset", false)
	}
	return func(r *render, s *scope) flow {
		v := r.eval(value, s)
		r.line = line
		r.assign(&target, v, s)
		return goesOn
	}
}

func (p *parser) filterTag() stmt {
	line := p.cur.line
	return outputStmt(p.captured("endfilter", true), line)
}

// captured parses filters and a block, whose text they are applied to. inline: the first has no "|" before it.
func (p *parser) captured(end string, inline bool) expr {
	var body []stmt
	var text expr = func(r *render, s *scope) Value { return r.capture(body, &scope{parent: s}) }
	if inline {
		text = p.filter(text)
	}
	text = p.filters(text)
	body, _ = p.block(end)
	return text
}

// plainTag parses one of the parser's blocks: its body, in a scope of its own.
func (p *parser) plainTag() stmt {
	body, _ := p.block("end" + p.tags[len(p.tags)-1])
	return func(r *render, s *scope) flow { return r.run(body, &scope{parent: s}) }
}

// target parses what can be assigned to; attrs admits a namespace's attribute.
func (p *parser) target(attrs bool) target {
	defer p.deeper()()
	var items []target
	if p.commas(false, func() { items = append(items, p.oneTarget(attrs)) }) {
		return target{tuple: items}
	}
	return items[0]
}

func (p *parser) oneTarget(attrs bool) target {
	t := p.cur
	if p.skip("(") {
		inner := p.target(false)
		p.expect(")")
		return inner
	}
	p.require(t.kind == tokName, "can't assign to '%s'", describe(t))
	_, isConstant := constants[t.text]
	p.require(!isConstant, "can't assign to 'const'")
	p.advance()
	p.sets[t.text] = true
	out := target{name: t.text}
	if attrs && p.skip(".") {
		out.attr = p.expect(tokName).text
	}
	return out
}

func (p *parser) macroTag() stmt {
	name := p.expect(tokName).text
	p.sets[name] = true
	d := p.signature(name)
	p.macroBody(d, "endmacro")
	return func(r *render, s *scope) flow {
		r.set(s, name, &macro{macroDecl: d, scope: s})
		return goesOn
	}
}

func (p *parser) callTag() stmt {
	d, line := &macroDecl{}, p.cur.line
	if p.is("(") {
		d = p.signature("")
	}
	p.postfix(p.primary())
	c := p.last
	p.require(c != nil, "expected call")
	p.macroBody(d, "endcall")
	return outputStmt(func(r *render, s *scope) Value { return c.run(r, s, &macro{macroDecl: d, scope: s}) }, line)
}

// signature parses a macro's parameters and their defaults.
func (p *parser) signature(name string) *macroDecl {
	d := &macroDecl{signature: signature{label: "macro " + quoteRepr(name)}}
	p.items(")", func() {
		name := p.expect(tokName).text
		refuseIf(name == "caller", "a parameter named caller")
		p.sets[name] = true
		var def expr
		if p.skip("=") {
			def = p.expression()
		} else if n := len(d.defaults); n > 0 && d.defaults[n-1] != nil {
			panic(errorf("TemplateSyntaxError", "non-default argument follows default argument"))
		}
		d.params = append(d.params, param{name: name, optional: true})
		d.defaults = append(d.defaults, def)
	})
	return d
}

// macroBody parses the body, whose names say whether it uses the caller.
func (p *parser) macroBody(d *macroDecl, end string) {
	outer, loops := p.macros, p.inLoop
	p.macros, p.inLoop = append(outer, d), 0
	d.body, _ = p.block(end)
	p.macros, p.inLoop = outer, loops
}
