package jinja

import (
	"sort"
	"strings"
)

// equal is Python's ==.
func (m *machine) equal(a, b Value) (bool, error) {
	if err := m.step(1); err != nil {
		return false, err
	}
	if isNumber(a) && isNumber(b) {
		c, ok := compareNumbers(a, b)
		return ok && c == 0, nil
	}
	if s, ok := asString(a); ok {
		t, ok := asString(b)
		if !ok || len(s) != len(t) {
			return false, nil
		}
		return s == t, m.work(len(s))
	}
	switch x := a.(type) {
	case nil:
		return b == nil, nil
	case *Undefined:
		_, ok := b.(*Undefined)
		return ok, nil
	case *List:
		y, ok := b.(*List)
		if !ok {
			return false, nil
		}
		return m.equalItems(x.Items, y.Items)
	case *Tuple:
		y, ok := b.(*Tuple)
		if !ok {
			return false, nil
		}
		return m.equalItems(x.Items, y.Items)
	case *Dict:
		y, ok := b.(*Dict)
		if !ok || x.Len() != y.Len() {
			return false, nil
		}
		return m.equalDicts(x, y)
	case *rangeValue:
		y, ok := b.(*rangeValue)
		return ok && x.n == y.n && (x.n == 0 || x.start == y.start && (x.n == 1 || x.step == y.step)), nil
	case *namespace, *generator, *function, *macro, *loop, *cycler, *dictView:
		return a == b, nil
	}
	return false, nil
}

func (m *machine) equalItems(a, b []Value) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	if err := m.enter(); err != nil {
		return false, err
	}
	defer m.leave()
	for i := range a {
		if ok, err := m.equal(a[i], b[i]); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (m *machine) equalDicts(a, b *Dict) (bool, error) {
	if err := m.enter(); err != nil {
		return false, err
	}
	defer m.leave()
	for k, i := range a.index {
		j, ok := b.index[k]
		if !ok {
			return false, nil
		}
		if ok, err := m.equal(a.vals[i], b.vals[j]); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// compareNumbers orders two numbers; not ok for NaN.
func compareNumbers(a, b Value) (int, bool) {
	x, okX := asInt(a)
	y, okY := asInt(b)
	switch {
	case okX && okY:
		switch {
		case x < y:
			return -1, true
		case x > y:
			return 1, true
		}
		return 0, true
	case isInt(a) && isInt(b):
		return toBig(a).Cmp(toBig(b)), true
	}
	f, g := toFloat(a), toFloat(b)
	switch {
	case f < g:
		return -1, true
	case f > g:
		return 1, true
	case f == g:
		return 0, true
	}
	return 0, false
}

// less is Python's a < b; op is the operator that its error names.
func (m *machine) less(a, b Value, op string) (bool, error) {
	c, ok, err := m.order(a, b, op)
	return ok && c < 0, err
}

// order compares; not ok where no order holds (NaN).
func (m *machine) order(a, b Value, op string) (c int, ok bool, err error) {
	if err := m.step(1); err != nil {
		return 0, false, err
	}
	for _, v := range [2]Value{a, b} {
		if u, isU := v.(*Undefined); isU {
			return 0, false, u.fail()
		}
	}
	if isNumber(a) && isNumber(b) {
		c, ok := compareNumbers(a, b)
		return c, ok, nil
	}
	if s, isS := asString(a); isS {
		if t, isT := asString(b); isT {
			return strings.Compare(s, t), true, m.work(min(len(s), len(t)))
		}
	}
	var x, y []Value
	switch v := a.(type) {
	case *List:
		if w, ok := b.(*List); ok {
			x, y = v.Items, w.Items
		}
	case *Tuple:
		if w, ok := b.(*Tuple); ok {
			x, y = v.Items, w.Items
		}
	}
	if x == nil && y == nil && !sameSequence(a, b) {
		return 0, false, typeErr("'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
	}
	if err := m.enter(); err != nil {
		return 0, false, err
	}
	defer m.leave()
	for i := range min(len(x), len(y)) {
		same, err := m.equal(x[i], y[i])
		if err != nil {
			return 0, false, err
		}
		if !same {
			return m.order(x[i], y[i], op)
		}
	}
	return len(x) - len(y), true, nil
}

func sameSequence(a, b Value) bool {
	switch a.(type) {
	case *List:
		_, ok := b.(*List)
		return ok
	case *Tuple:
		_, ok := b.(*Tuple)
		return ok
	}
	return false
}

// compareOp evaluates one comparison operator.
func (m *machine) compareOp(op string, a, b Value) (bool, error) {
	switch op {
	case "==":
		return m.equal(a, b)
	case "!=":
		ok, err := m.equal(a, b)
		return !ok, err
	case "in":
		return m.contains(b, a)
	case "not in":
		ok, err := m.contains(b, a)
		return !ok, err
	}
	c, ok, err := m.order(a, b, op)
	if err != nil || !ok {
		return false, err
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

// contains is Python's "item in box".
func (m *machine) contains(box, item Value) (bool, error) {
	if s, ok := asString(box); ok {
		t, ok := asString(item)
		if !ok {
			return false, typeErr("'in <string>' requires string as left operand, not %s", typeName(item))
		}
		return strings.Contains(s, t), m.work(len(s))
	}
	switch b := box.(type) {
	case *Dict:
		_, ok, err := b.getValue(m, item)
		return ok, err
	case *dictView:
		if b.kind == "dict_keys" {
			_, ok, err := b.d.getValue(m, item)
			return ok, err
		}
	}
	next, err := m.iterate(box)
	if err != nil {
		if _, ok := box.(*Undefined); !ok {
			return false, typeErr("argument of type '%s' is not iterable", typeName(box))
		}
		return false, err
	}
	for {
		v, ok, err := next()
		if err != nil || !ok {
			return false, err
		}
		if same, err := m.equal(v, item); err != nil || same {
			return same, err
		}
	}
}

// sortValues sorts items by their keys, stably, as Python's sorted does.
func (m *machine) sortValues(items, keys []Value, reverse bool) error {
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	var failed error
	sort.SliceStable(order, func(i, j int) bool {
		if failed != nil {
			return false
		}
		a, b := keys[order[i]], keys[order[j]]
		if reverse {
			a, b = b, a
		}
		less, err := m.less(a, b, "<")
		if err != nil {
			failed = err
		}
		return less
	})
	if failed != nil {
		return failed
	}
	old := append([]Value(nil), items...)
	for i, o := range order {
		items[i] = old[o]
	}
	return nil
}
