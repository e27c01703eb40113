package jinja

// mutators are the methods that the immutable sandbox refuses.
var (
	dictMutators = map[string]bool{"clear": true, "pop": true, "popitem": true, "setdefault": true, "update": true}
	listMutators = map[string]bool{
		"append": true, "clear": true, "pop": true, "reverse": true, "insert": true, "sort": true, "extend": true, "remove": true,
	}
)

func dictAttr(d *Dict, name string) (Value, bool, error) {
	if dictMutators[name] {
		return unsafeAttr(d, name), true, nil
	}
	if f := dictMethods[name]; f != nil {
		return bound(name, d, f), true, nil
	}
	if name == "fromkeys" {
		return refusedMethod("dict", name), true, nil
	}
	return nil, false, nil
}

var dictMethods = map[string]method{
	"keys":   viewMethod("dict_keys"),
	"values": viewMethod("dict_values"),
	"items":  viewMethod("dict_items"),
	"get": func(m *machine, self Value, a *args) (Value, error) {
		p, err := a.positional("get", 1, 2)
		if err != nil {
			return nil, err
		}
		v, ok, err := self.(*Dict).getValue(m, p[0])
		if err != nil || ok {
			return v, err
		}
		if p[1] != absent {
			return p[1], nil
		}
		return nil, nil
	},
	"copy": func(m *machine, self Value, a *args) (Value, error) {
		if _, err := a.positional("copy", 0, 0); err != nil {
			return nil, err
		}
		return self.(*Dict).clone(m)
	},
}

func viewMethod(kind string) method {
	return func(_ *machine, self Value, a *args) (Value, error) {
		if _, err := a.positional(kind[len("dict_"):], 0, 0); err != nil {
			return nil, err
		}
		return &dictView{kind: kind, d: self.(*Dict)}, nil
	}
}

func listAttr(x Value, name string) (Value, bool, error) {
	if l, ok := x.(*List); ok {
		if listMutators[name] {
			return unsafeAttr(x, name), true, nil
		}
		if name == "copy" {
			return &function{name: name, call: func(m *machine, _ *args) (Value, error) {
				items, err := m.join2(l.Items, nil)
				return &List{Items: items}, err
			}}, true, nil
		}
	}
	if t, ok := x.(*Tuple); ok {
		for i, f := range t.fields {
			if f == name {
				return t.Items[i], true, nil
			}
		}
	}
	if f := sequenceMethods[name]; f != nil {
		return bound(name, x, f), true, nil
	}
	return nil, false, nil
}

var sequenceMethods = map[string]method{
	"count": func(m *machine, self Value, a *args) (Value, error) {
		p, err := a.positional("count", 1, 1)
		if err != nil {
			return nil, err
		}
		n := int64(0)
		items, err := sequenceItems(m, self)
		if err != nil {
			return nil, err
		}
		for _, x := range items {
			same, err := m.equal(x, p[0])
			if err != nil {
				return nil, err
			}
			n += b2i(same)
		}
		return n, nil
	},
	"index": func(m *machine, self Value, a *args) (Value, error) {
		p, err := a.positional("index", 1, 3)
		if err != nil {
			return nil, err
		}
		items, err := sequenceItems(m, self)
		if err != nil {
			return nil, err
		}
		from, to, err := findRange(p[1], p[2], int64(len(items)))
		if err != nil {
			return nil, err
		}
		for i := from; i < to; i++ {
			if same, err := m.equal(items[i], p[0]); err != nil || same {
				return i, err
			}
		}
		return nil, valueErr("%s is not in %s", shortRepr(p[0]), typeName(self))
	},
}

func sequenceItems(m *machine, v Value) ([]Value, error) {
	switch v := v.(type) {
	case *List:
		return v.Items, nil
	case *Tuple:
		return v.Items, nil
	}
	return m.list(v)
}
