package jinja

import (
	"strings"
)

// binary applies an arithmetic operator. Strings and lists join and repeat as
// in Python; an undefined operand is an error.
func (m *machine) binary(op string, a, b Value) (Value, error) {
	for _, v := range [2]Value{a, b} {
		if u, ok := v.(*Undefined); ok && (op != "%" || !isStr(a)) {
			return nil, u.fail()
		}
	}
	if isNumber(a) && isNumber(b) {
		if err := m.bigWork(a, b); err != nil {
			return nil, err
		}
		return arith(op, a, b)
	}
	switch op {
	case "+":
		return m.add(a, b)
	case "*":
		if n, ok := asInt(b); ok {
			if v, ok, err := m.repeat(a, n); ok {
				return v, err
			}
		}
		if n, ok := asInt(a); ok {
			if v, ok, err := m.repeat(b, n); ok {
				return v, err
			}
		}
		if isSequence(a) && isInt(b) || isSequence(b) && isInt(a) {
			return nil, failf("OverflowError", "cannot fit 'int' into an index-sized integer")
		}
		if isSequence(a) {
			return nil, typeErr("can't multiply sequence by non-int of type '%s'", typeName(b))
		}
	case "%":
		if s, ok := asString(a); ok {
			out, err := m.percent(s, b)
			return likeText(a, out), err
		}
	}
	name := op
	if op == "**" {
		name = "** or pow()"
	}
	return nil, typeErr("unsupported operand type(s) for %s: '%s' and '%s'", name, typeName(a), typeName(b))
}

func isStr(v Value) bool {
	_, ok := asString(v)
	return ok
}

func isSequence(v Value) bool {
	switch v.(type) {
	case string, Markup, *List, *Tuple:
		return true
	}
	return false
}

// likeText gives s the type of the str or Markup that it was made from.
func likeText(v Value, s string) Value {
	if _, ok := v.(Markup); ok {
		return Markup(s)
	}
	return s
}

func (m *machine) add(a, b Value) (Value, error) {
	switch x := a.(type) {
	case string, Markup:
		if !isStr(b) {
			return nil, typeErr(`can only concatenate str (not "%s") to str`, typeName(b))
		}
		s, t := addTexts(a, b)
		if err := m.grow(int64(len(s) + len(t))); err != nil {
			return nil, err
		}
		_, safe := a.(Markup)
		_, safe2 := b.(Markup)
		if safe || safe2 {
			return Markup(s + t), nil
		}
		return s + t, nil
	case *List:
		y, ok := b.(*List)
		if !ok {
			return nil, typeErr(`can only concatenate list (not "%s") to list`, typeName(b))
		}
		items, err := m.join2(x.Items, y.Items)
		return &List{Items: items}, err
	case *Tuple:
		y, ok := b.(*Tuple)
		if !ok {
			return nil, typeErr(`can only concatenate tuple (not "%s") to tuple`, typeName(b))
		}
		items, err := m.join2(x.Items, y.Items)
		return &Tuple{Items: items}, err
	}
	return nil, typeErr("unsupported operand type(s) for +: '%s' and '%s'", typeName(a), typeName(b))
}

// addTexts escapes the plain side when the other is Markup.
func addTexts(a, b Value) (s, t string) {
	s, _ = asString(a)
	t, _ = asString(b)
	_, safeA := a.(Markup)
	_, safeB := b.(Markup)
	if safeA && !safeB {
		t = escapeHTML(t)
	}
	if safeB && !safeA {
		s = escapeHTML(s)
	}
	return s, t
}

func (m *machine) join2(a, b []Value) ([]Value, error) {
	if err := m.grow(int64(16 * (len(a) + len(b)))); err != nil {
		return nil, err
	}
	return append(append(make([]Value, 0, len(a)+len(b)), a...), b...), nil
}

func (m *machine) repeat(v Value, n int64) (Value, bool, error) {
	n = max(n, 0)
	if s, ok := asString(v); ok {
		if err := m.growTimes(len(s), n); err != nil {
			return nil, true, err
		}
		return likeText(v, strings.Repeat(s, int(n))), true, nil
	}
	var items []Value
	switch v := v.(type) {
	case *List:
		items = v.Items
	case *Tuple:
		items = v.Items
	default:
		return nil, false, nil
	}
	if err := m.growTimes(16*len(items), n); err != nil {
		return nil, true, err
	}
	out := make([]Value, 0, len(items)*int(n))
	if len(items) > 0 {
		for range n {
			out = append(out, items...)
		}
	}
	if _, ok := v.(*Tuple); ok {
		return &Tuple{Items: out}, true, nil
	}
	return &List{Items: out}, true, nil
}

// growTimes charges for n copies of size bytes, minding overflow.
func (m *machine) growTimes(size int, n int64) error {
	if size == 0 {
		return nil
	}
	if n > (1<<40)/int64(size) {
		return m.grow(-1)
	}
	return m.grow(int64(size) * n)
}

func truth(v Value) bool {
	switch v := v.(type) {
	case nil, *Undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case Markup:
		return v != ""
	case *List:
		return len(v.Items) > 0
	case *Tuple:
		return len(v.Items) > 0
	case *Dict:
		return v.Len() > 0
	case *rangeValue:
		return v.n > 0
	case *dictView:
		return v.d.Len() > 0
	}
	return true
}

var htmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

func escapeHTML(s string) string { return htmlEscaper.Replace(s) }
