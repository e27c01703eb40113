package jinja

import (
	"cmp"
	"slices"
	"strings"
)

// equal is Python's ==.
func (r *render) equal(a, b Value) bool {
	r.step(1)
	if s, ok := asString(a); ok {
		t, ok := asString(b)
		if !ok || len(s) != len(t) {
			return false
		}
		r.work(len(s))
		return s == t
	}
	if isNumber(a) && isNumber(b) {
		if typeName(a) == "int" && typeName(b) == "int" { // one of them may be past 64 bits
			return a == b
		}
		return compareNumbers(a, b) == 0
	}
	r.enter()
	defer r.leave()
	switch x := a.(type) {
	case *Undefined:
		return isUndefined(b)
	case *List:
		y, ok := b.(*List)
		if !ok || x.kind != y.kind || x.kind == valuesView || x.kind == generator {
			return a == b
		}
		return slices.EqualFunc(x.Items, y.Items, r.equal)
	case *Dict:
		y, ok := b.(*Dict)
		return ok && x.Len() == y.Len() && !slices.ContainsFunc(x.entries, func(e entry) bool {
			v, ok := y.find(e.hash)
			return !ok || !r.equal(e.val, v)
		})
	}
	return a == b
}

// compareNumbers orders two numbers.
func compareNumbers(a, b Value) int {
	x, okX := asInt(a)
	y, okY := asInt(b)
	if okX && okY {
		return cmp.Compare(x, y)
	}
	refuseBig(a, b)
	f, _ := a.(float64)
	g, _ := b.(float64)
	return cmp.Compare(f+float64(x), g+float64(y)) // what a number is not is zero
}

// order compares. op is the operator that its error names.
func (r *render) order(a, b Value, op string) int {
	r.step(1)
	defined(a, b)
	if isNumber(a) && isNumber(b) {
		return compareNumbers(a, b)
	}
	s, isTextA := asString(a)
	t, isTextB := asString(b)
	if isTextA && isTextB {
		r.work(min(len(s), len(t)))
		return strings.Compare(s, t)
	}
	refuseIf(isSequence(a) && typeName(a) == typeName(b), "'%s' on a %s", op, typeName(a))
	panic(errorf("TypeError", "'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b)))
}

// compare evaluates one comparison operator.
func (r *render) compare(op string, a, b Value) bool {
	switch op {
	case "==":
		return r.equal(a, b)
	case "!=":
		return !r.equal(a, b)
	case "in":
		return r.contains(b, a)
	case "not in":
		return !r.contains(b, a)
	}
	order := [...]string{"<", "=", ">"}[r.order(a, b, op)+1]
	return strings.Contains(op, order) // an operator spells the orders that it admits
}

// contains is Python's "item in box".
func (r *render) contains(box, item Value) bool {
	if s, ok := asString(box); ok {
		t, ok := asString(item)
		require(ok, "TypeError", "'in <string>' requires string as left operand, not %s", typeName(item))
		r.work(len(s))
		return strings.Contains(s, t)
	}
	if d, ok := box.(*Dict); ok {
		_, ok := d.find(r.key(item))
		return ok
	}
	require(iterable(box), "TypeError", "argument of type '%s' is not iterable", typeName(box))
	return slices.ContainsFunc(r.items(box), func(v Value) bool { return r.equal(v, item) })
}

// sorted sorts items by their keys, stably, as Python's sorted does.
func (r *render) sorted(items, keys []Value) *List {
	r.grow(int64(24 * len(items)))
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return r.order(keys[i], keys[j], "<") })
	out := make([]Value, len(items))
	for i, o := range order {
		out[i] = items[o]
	}
	return &List{Items: out}
}
