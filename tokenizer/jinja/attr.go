package jinja

import (
	"math/big"
	"strings"
)

// getAttr is x.name: an attribute of the Python type first, then x["name"].
func (m *machine) getAttr(x Value, name string) (Value, error) {
	if v, ok, err := m.attribute(x, name); ok || err != nil {
		return v, err
	}
	if v, ok, err := m.index(x, name); ok || err != nil {
		return v, err
	}
	return undefinedAttr(x, name), nil
}

// getItem is x[key]: the element first, then for a str the attribute.
func (m *machine) getItem(x, key Value) (Value, error) {
	if v, ok, err := m.index(x, key); ok || err != nil {
		return v, err
	}
	if name, ok := asString(key); ok {
		if v, ok, err := m.attribute(x, name); ok || err != nil {
			return v, err
		}
	}
	return undefinedAttr(x, key), nil
}

// attribute finds what Python's getattr would. Underscored names that exist
// on every Python object are refused as the sandbox refuses them.
func (m *machine) attribute(x Value, name string) (Value, bool, error) {
	if u, ok := x.(*Undefined); ok {
		if dunders[name] {
			return unsafeAttr(x, name), true, nil
		}
		return nil, false, u.fail()
	}
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
		if dunders[name] {
			return unsafeAttr(x, name), true, nil
		}
		return nil, false, nil
	}
	switch v := x.(type) {
	case string, Markup:
		if f := strMethods[name]; f != nil {
			return bound(name, x, f), true, nil
		}
		if name == "encode" || name == "translate" || name == "maketrans" {
			return refusedMethod("str", name), true, nil
		}
	case *Dict:
		return dictAttr(v, name)
	case *List, *Tuple:
		return listAttr(x, name)
	case *namespace:
		if a, ok := v.attrs.Get(name); ok {
			return a, true, nil
		}
	case *loop:
		return v.attr(name)
	case *macro:
		switch name {
		case "name":
			return v.decl.name, true, nil
		case "arguments":
			t := &Tuple{}
			for _, p := range v.decl.params {
				t.Items = append(t.Items, p)
			}
			return t, true, nil
		}
	case *cycler:
		return v.attr(name)
	case bool, int64, *big.Int, float64:
		switch name {
		case "real", "numerator":
			if name == "real" || isInt(x) {
				if b, ok := x.(bool); ok {
					return b2i(b), true, nil
				}
				return x, true, nil
			}
		case "imag":
			if isInt(x) {
				return int64(0), true, nil
			}
			return 0.0, true, nil
		case "denominator":
			if isInt(x) {
				return int64(1), true, nil
			}
		case "is_integer":
			if f, ok := x.(float64); ok {
				return &function{name: name, call: func(*machine, *args) (Value, error) {
					return f == float64(int64(f)), nil
				}}, true, nil
			}
		case "bit_length":
			if isInt(x) {
				n := int64(toBig(x).BitLen())
				return &function{name: name, call: func(*machine, *args) (Value, error) { return n, nil }}, true, nil
			}
		}
	case *rangeValue:
		switch name {
		case "start":
			return v.start, true, nil
		case "stop":
			return v.stop, true, nil
		case "step":
			return v.step, true, nil
		}
		if f := sequenceMethods[name]; f != nil {
			return bound(name, x, f), true, nil
		}
	case *generator:
		switch name {
		case "gi_frame", "gi_code":
			return unsafeAttr(x, name), true, nil
		case "send", "throw", "close":
			return refusedMethod("generator", name), true, nil
		}
	}
	return nil, false, nil
}

// dunders are attributes that every Python object has; the sandbox answers
// them with an undefined value whose use is a SecurityError.
var dunders = map[string]bool{
	"__class__": true, "__doc__": true, "__init__": true, "__dict__": true, "__module__": true,
	"__getattribute__": true, "__new__": true, "__reduce__": true, "__reduce_ex__": true,
	"__repr__": true, "__str__": true, "__subclasshook__": true, "__init_subclass__": true,
	"__eq__": true, "__ne__": true, "__lt__": true, "__le__": true, "__gt__": true, "__ge__": true,
	"__hash__": true, "__dir__": true, "__sizeof__": true, "__format__": true, "__setattr__": true,
	"__delattr__": true, "__len__": true, "__getitem__": true, "__iter__": true, "__contains__": true,
	"__call__": true, "__globals__": true, "__code__": true, "__func__": true, "__self__": true,
}

type method func(m *machine, self Value, a *args) (Value, error)

func bound(name string, self Value, f method) *function {
	return &function{name: name, call: func(m *machine, a *args) (Value, error) { return f(m, self, a) }}
}

func refusedMethod(typ, name string) *function {
	return &function{name: name, call: func(*machine, *args) (Value, error) {
		return nil, unsupported("method %s.%s is not supported", typ, name)
	}}
}

// index is Python's x[key]; not ok where that raises TypeError or LookupError.
func (m *machine) index(x, key Value) (Value, bool, error) {
	switch v := x.(type) {
	case *Undefined:
		return nil, false, v.fail()
	case *Dict:
		val, ok, err := v.getValue(m, key)
		if err != nil && isTypeError(err) {
			return nil, false, nil
		}
		return val, ok, err
	case *List:
		i, ok := place(key, int64(len(v.Items)))
		if !ok {
			return nil, false, nil
		}
		return v.Items[i], true, nil
	case *Tuple:
		i, ok := place(key, int64(len(v.Items)))
		if !ok {
			return nil, false, nil
		}
		return v.Items[i], true, nil
	case *rangeValue:
		i, ok := place(key, v.n)
		return v.start + i*v.step, ok, nil
	case string, Markup:
		if _, isNum := asInt(key); !isNum {
			return nil, false, nil
		}
		r, err := m.runes(x)
		if err != nil {
			return nil, false, err
		}
		i, ok := place(key, r.n)
		if !ok {
			return nil, false, nil
		}
		return likeText(x, r.slice(i, i+1)), true, nil
	}
	return nil, false, nil
}

func isTypeError(err error) bool {
	e, ok := err.(*Error) //nolint:errorlint // made by the call above, not wrapped
	return ok && e.Class == "TypeError"
}

// place turns a Python index into an offset.
func place(key Value, n int64) (int64, bool) {
	i, ok := asInt(key)
	if !ok {
		return 0, false
	}
	if i < 0 {
		i += n
	}
	return i, i >= 0 && i < n
}

// text is a str by code points. ASCII needs no copy.
type text struct {
	s     string
	runes []rune // nil if s is ASCII
	n     int64
}

func (m *machine) runes(v Value) (text, error) {
	s, _ := asString(v)
	n := runeLen(s)
	if n == len(s) {
		return text{s: s, n: int64(n)}, m.work(n)
	}
	if err := m.slowWork(len(s)); err != nil {
		return text{}, err
	}
	if err := m.grow(int64(4 * n)); err != nil {
		return text{}, err
	}
	return text{s: s, runes: []rune(s), n: int64(n)}, nil
}

func (t text) slice(i, j int64) string {
	if t.runes == nil {
		return t.s[i:j]
	}
	return string(t.runes[i:j])
}

func (t text) at(i int64) string { return t.slice(i, i+1) }

// evalSlice is x[start:stop:step].
func (m *machine) evalSlice(x Value, e *sliceExpr, s *scope) (Value, error) {
	bounds := [3]*int64{}
	for i, part := range [3]expr{e.start, e.stop, e.step} {
		if part == nil {
			continue
		}
		v, err := m.eval(part, s)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		n, ok := asInt(v)
		if !ok {
			return nil, typeErr("slice indices must be integers or None or have an __index__ method")
		}
		bounds[i] = &n
	}
	if u, ok := x.(*Undefined); ok {
		return nil, u.fail()
	}
	if bounds[2] != nil && *bounds[2] == 0 {
		return nil, valueErr("slice step cannot be zero")
	}
	switch v := x.(type) {
	case string, Markup:
		return m.sliceText(x, bounds)
	case *List:
		items, err := m.sliceItems(v.Items, bounds)
		return &List{Items: items}, err
	case *Tuple:
		items, err := m.sliceItems(v.Items, bounds)
		return &Tuple{Items: items}, err
	case *rangeValue:
		start, step, n := sliceRange(v.n, bounds)
		return &rangeValue{start: v.start + start*v.step, stop: v.start + (start+n*step)*v.step, step: v.step * step, n: n}, nil
	}
	if _, ok := x.(*Dict); ok {
		return nil, typeErr("unhashable type: 'slice'")
	}
	return nil, typeErr("'%s' object is not subscriptable", typeName(x))
}

// sliceRange gives the first offset, the step and the number of elements.
func sliceRange(n int64, b [3]*int64) (start, step, count int64) {
	step = 1
	if b[2] != nil {
		step = max(min(*b[2], n+1), -n-1)
	}
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	clamp := func(p *int64, def int64) int64 {
		if p == nil {
			return def
		}
		i := *p
		if i < 0 {
			i += n
		}
		return min(max(i, low), high)
	}
	var stop int64
	if step > 0 {
		start, stop = clamp(b[0], low), clamp(b[1], high)
		if stop > start {
			count = (stop - start + step - 1) / step
		}
	} else {
		start, stop = clamp(b[0], high), clamp(b[1], low)
		if stop < start {
			count = (start - stop - step - 1) / -step
		}
	}
	return start, step, count
}

func (m *machine) sliceItems(items []Value, b [3]*int64) ([]Value, error) {
	start, step, n := sliceRange(int64(len(items)), b)
	if step == 1 {
		return items[start : start+n : start+n], nil
	}
	if err := m.grow(16 * n); err != nil {
		return nil, err
	}
	out := make([]Value, 0, n)
	for i := range n {
		out = append(out, items[start+i*step])
	}
	return out, nil
}

func (m *machine) sliceText(x Value, b [3]*int64) (Value, error) {
	t, err := m.runes(x)
	if err != nil {
		return nil, err
	}
	start, step, n := sliceRange(t.n, b)
	if step == 1 {
		return likeText(x, t.slice(start, start+n)), nil
	}
	if err := m.grow(4 * n); err != nil {
		return nil, err
	}
	var out strings.Builder
	for i := range n {
		out.WriteString(t.at(start + i*step))
	}
	return likeText(x, out.String()), nil
}
