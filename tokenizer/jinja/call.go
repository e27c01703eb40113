package jinja

import "fmt"

// args are the arguments of a call: the positional ones, then the named ones
// in their order.
type args struct {
	pos     []Value
	kwNames []string
	kwVals  []Value
}

// absent marks an optional parameter that was not given.
var absent Value = &struct{ _ byte }{}

// bind places arguments on parameters, of which the first need must be given.
func (a *args) bind(name string, need int, params ...string) ([]Value, error) {
	out := make([]Value, len(params))
	for i := range out {
		out[i] = absent
	}
	if len(a.pos) > len(params) {
		return nil, typeErr("%s() takes at most %d arguments (%d given)", name, len(params), len(a.pos))
	}
	copy(out, a.pos)
	for k, kw := range a.kwNames {
		i := 0
		for i < len(params) && params[i] != kw {
			i++
		}
		if i == len(params) {
			return nil, typeErr("%s() got an unexpected keyword argument %s", name, quoteRepr(clip(kw)))
		}
		if i < len(a.pos) {
			return nil, typeErr("%s() got multiple values for argument %s", name, quoteRepr(kw))
		}
		out[i] = a.kwVals[k]
	}
	for i := range need {
		if out[i] == absent {
			return nil, typeErr("%s() missing a required argument: %s", name, quoteRepr(params[i]))
		}
	}
	return out, nil
}

// positional binds for functions that know no names.
func (a *args) positional(name string, need, most int) ([]Value, error) {
	if len(a.kwNames) > 0 {
		return nil, typeErr("%s() takes no keyword arguments", name)
	}
	if len(a.pos) < need || len(a.pos) > most {
		return nil, typeErr("%s() takes %s (%d given)", name, countText(need, most), len(a.pos))
	}
	out := make([]Value, most)
	for i := range out {
		out[i] = absent
	}
	copy(out, a.pos)
	return out, nil
}

func countText(need, most int) string {
	if need == most {
		return fmt.Sprintf("exactly %d arguments", need)
	}
	return fmt.Sprintf("from %d to %d arguments", need, most)
}

func (m *machine) evalArgs(c *callArgs, s *scope) (*args, error) {
	a := &args{}
	if len(c.pos) > 0 {
		var err error
		if a.pos, err = m.evalAll(c.pos, s); err != nil {
			return nil, err
		}
	}
	for i, name := range c.kwNames {
		v, err := m.eval(c.kwVals[i], s)
		if err != nil {
			return nil, err
		}
		a.kwNames = append(a.kwNames, name)
		a.kwVals = append(a.kwVals, v)
	}
	if c.star != nil {
		v, err := m.eval(c.star, s)
		if err != nil {
			return nil, err
		}
		more, err := m.list(v)
		if err != nil {
			return nil, err
		}
		a.pos = append(a.pos, more...)
	}
	if c.starStar != nil {
		v, err := m.eval(c.starStar, s)
		if err != nil {
			return nil, err
		}
		d, ok := v.(*Dict)
		if !ok {
			return nil, typeErr("argument after ** must be a mapping, not %s", typeName(v))
		}
		for i, k := range d.keys {
			name, ok := asString(k)
			if !ok {
				return nil, typeErr("keywords must be strings")
			}
			if err := m.grow(32); err != nil {
				return nil, err
			}
			a.kwNames = append(a.kwNames, name)
			a.kwVals = append(a.kwVals, d.vals[i])
		}
	}
	return a, nil
}

// evalCall evaluates a call; caller, if any, is passed by name.
func (m *machine) evalCall(e *callExpr, s *scope, caller *macro) (Value, error) {
	fn, err := m.eval(e.fn, s)
	if err != nil {
		return nil, err
	}
	a, err := m.evalArgs(&e.args, s)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		a.kwNames = append(a.kwNames, "caller")
		a.kwVals = append(a.kwVals, caller)
	}
	return m.call(fn, a)
}

func (m *machine) call(fn Value, a *args) (Value, error) {
	switch f := fn.(type) {
	case *function:
		return f.call(m, a)
	case *macro:
		return m.callMacro(f, a)
	case *Undefined:
		return nil, f.fail()
	case *loop:
		return nil, typeErr("The loop must have the 'recursive' marker to be called recursively.")
	}
	return nil, typeErr("'%s' object is not callable", typeName(fn))
}

// macro is a macro, or the body of a call block, with the scope that it was
// defined in.
type macro struct {
	decl  *macroDecl
	scope *scope
}

func (m *machine) callMacro(f *macro, a *args) (Value, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	d := f.decl
	s := &scope{parent: f.scope}
	given := min(len(a.pos), len(d.params))
	taken := make([]bool, len(a.kwNames))
	take := func(name string) (Value, bool) {
		for i, kw := range a.kwNames {
			if kw == name && !taken[i] {
				taken[i] = true
				return a.kwVals[i], true
			}
		}
		return nil, false
	}
	vals := make([]Value, len(d.params))
	copy(vals, a.pos[:given])
	for i := given; i < len(d.params); i++ {
		vals[i] = absent
		if v, ok := take(d.params[i]); ok {
			vals[i] = v
		}
	}
	if d.caller {
		v, ok := take("caller")
		if !ok || v == nil {
			v = &Undefined{hint: "No caller defined", name: "caller"}
		}
		s.set("caller", v)
	}
	if err := m.macroExtras(d, s, a, taken); err != nil {
		return nil, err
	}
	// Defaults see the parameters before them.
	for i, name := range d.params {
		v := vals[i]
		if v == absent {
			k := i - (len(d.params) - len(d.defaults))
			if k < 0 {
				v = &Undefined{hint: "parameter " + quoteRepr(name) + " was not provided", name: name}
			} else {
				var err error
				if v, err = m.eval(d.defaults[k], s); err != nil {
					return nil, err
				}
			}
		}
		s.set(name, v)
	}
	return m.capture(d.body, s)
}

// macroExtras binds or refuses what no parameter took.
func (m *machine) macroExtras(d *macroDecl, s *scope, a *args, taken []bool) error {
	if d.kwargs {
		rest := NewDict()
		for i, kw := range a.kwNames {
			if !taken[i] {
				if err := rest.setValue(m, kw, a.kwVals[i]); err != nil {
					return err
				}
			}
		}
		s.set("kwargs", rest)
	} else {
		for i, kw := range a.kwNames {
			if taken[i] {
				continue
			}
			if kw == "caller" {
				return typeErr("macro %s was invoked with two values for the special caller argument. This is most likely a bug.", quoteRepr(d.name))
			}
			return typeErr("macro %s takes no keyword argument %s", quoteRepr(d.name), quoteRepr(clip(kw)))
		}
	}
	if d.varargs {
		s.set("varargs", &Tuple{Items: a.pos[min(len(a.pos), len(d.params)):]})
	} else if len(a.pos) > len(d.params) {
		return typeErr("macro %s takes not more than %d argument(s)", quoteRepr(d.name), len(d.params))
	}
	return nil
}
