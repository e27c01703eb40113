package jinja

import (
	"errors"
	"strings"
)

// errBreak and errContinue travel up to the loop that they control.
var (
	errBreak    = errors.New("break outside a loop")
	errContinue = errors.New("continue outside a loop")
)

// run executes statements, writing text to out.
func (m *machine) run(body []stmt, s *scope, out *strings.Builder) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	for _, st := range body {
		if err := m.step(1); err != nil {
			return err
		}
		if err := m.exec(st, s, out); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) exec(st stmt, s *scope, out *strings.Builder) error {
	switch st := st.(type) {
	case *dataStmt:
		if err := m.emit(len(st.text)); err != nil {
			return err
		}
		out.WriteString(st.text)
		return nil
	case *outputStmt:
		return lineOf(m.output1(st.x, s, out), st.line)
	case *ifStmt:
		for i, test := range st.tests {
			v, err := m.eval(test, s)
			if err != nil {
				return err
			}
			if truth(v) {
				return m.run(st.bodies[i], s, out)
			}
		}
		return m.run(st.alt, s, out)
	case *forStmt:
		return lineOf(m.runFor(st, s, out), st.line)
	case *loopControl:
		if st.stop {
			return errBreak
		}
		return errContinue
	case *setStmt:
		v, err := m.eval(st.value, s)
		if err != nil {
			return lineOf(err, st.line)
		}
		return lineOf(m.assign(&st.target, v, s), st.line)
	case *setBlock:
		text, err := m.capture(st.body, &scope{parent: s})
		if err == nil && st.filter != nil {
			text, err = m.filterText(st.filter, text, s)
		}
		if err != nil {
			return err
		}
		return lineOf(m.assign(&st.target, text, s), st.line)
	case *withStmt:
		return m.runWith(st, s, out)
	case *macroDecl:
		s.set(st.name, &macro{decl: st, scope: s})
		return nil
	case *callBlock:
		v, err := m.evalCall(st.call, s, &macro{decl: st.decl, scope: s})
		if err != nil {
			return lineOf(err, st.line)
		}
		return m.print(v, out)
	case *filterBlock:
		text, err := m.capture(st.body, &scope{parent: s})
		if err != nil {
			return err
		}
		if text, err = m.filterText(st.filter, text, s); err != nil {
			return err
		}
		return m.print(text, out)
	case *scopeBlock:
		return m.run(st.body, &scope{parent: s}, out)
	}
	return unsupported("this kind of statement")
}

func (m *machine) output1(x expr, s *scope, out *strings.Builder) error {
	v, err := m.eval(x, s)
	if err != nil {
		return err
	}
	return m.print(v, out)
}

func (m *machine) print(v Value, out *strings.Builder) error {
	text, err := m.str(v)
	if err != nil {
		return err
	}
	if err := m.emit(len(text)); err != nil {
		return err
	}
	out.WriteString(text)
	return nil
}

// capture renders statements into a str.
func (m *machine) capture(body []stmt, s *scope) (Value, error) {
	var b strings.Builder
	if err := m.run(body, s, &b); err != nil {
		return nil, err
	}
	return b.String(), m.grow(int64(b.Len()))
}

// filterText runs a chain of filters whose innermost takes the block's text.
func (m *machine) filterText(e expr, text Value, s *scope) (Value, error) {
	f := e.(*filterExpr)
	if f.x != nil {
		if err := m.enter(); err != nil {
			return nil, err
		}
		defer m.leave()
		var err error
		if text, err = m.filterText(f.x, text, s); err != nil {
			return nil, err
		}
	}
	return m.applyFilter(f, text, s)
}

func (m *machine) runWith(st *withStmt, s *scope, out *strings.Builder) error {
	inner := &scope{parent: s}
	for i := range st.targets {
		v, err := m.eval(st.values[i], s)
		if err != nil {
			return err
		}
		if err := m.assign(&st.targets[i], v, inner); err != nil {
			return err
		}
	}
	return m.run(st.body, inner, out)
}

// assign binds a target in the scope, or sets a namespace's attribute.
func (m *machine) assign(t *target, v Value, s *scope) error {
	if t.tuple != nil {
		next, err := m.iterate(v)
		if err != nil {
			if _, ok := v.(*Undefined); ok {
				return err
			}
			return typeErr("cannot unpack non-iterable %s object", typeName(v))
		}
		for i := range t.tuple {
			x, ok, err := next()
			if err != nil {
				return err
			}
			if !ok {
				return valueErr("not enough values to unpack (expected %d, got %d)", len(t.tuple), i)
			}
			if err := m.assign(&t.tuple[i], x, s); err != nil {
				return err
			}
		}
		if _, more, err := next(); err != nil {
			return err
		} else if more {
			return valueErr("too many values to unpack (expected %d)", len(t.tuple))
		}
		return nil
	}
	if t.attr == "" {
		s.set(t.name, v)
		return m.grow(32)
	}
	ns, ok := m.lookup(s, t.name).(*namespace)
	if !ok {
		return failf("TemplateRuntimeError", "cannot assign attribute on non-namespace object")
	}
	ns.attrs.Set(t.attr, v)
	return m.grow(32)
}
