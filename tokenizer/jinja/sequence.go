package jinja

import "unicode/utf8"

// iterable says whether Python's iter(v) would work.
func iterable(v Value) bool {
	switch v.(type) {
	case *List, *Dict, *Undefined, string, safeText:
		return true
	}
	return false
}

// items are the elements that iterating over v gives; they are not the caller's to change. A generator is empty after.
func (r *render) items(v Value) []Value {
	if s, ok := asString(v); ok {
		r.grow(int64(24 * len(s)))
		out := make([]Value, 0, len(s))
		for _, c := range s {
			out = append(out, string(c))
		}
		return out
	}
	switch v := v.(type) {
	case *Undefined:
		return nil
	case *List:
		out := v.Items
		if v.kind == generator {
			v.Items = nil
		}
		r.step(1 + len(out)/8)
		return out
	case *Dict:
		return r.parts(v, keyOf)
	}
	panic(errorf("TypeError", "'%s' object is not iterable", typeName(v)))
}

// length is Python's len(v).
func (r *render) length(v Value) int64 {
	if s, ok := asString(v); ok {
		r.work(4 * len(s))
		return int64(utf8.RuneCountInString(s))
	}
	switch v := v.(type) {
	case *Undefined:
		return 0
	case *List:
		if v.kind != generator {
			return int64(len(v.Items))
		}
	case *Dict:
		return int64(v.Len())
	}
	panic(errorf("TypeError", "object of type '%s' has no len()", typeName(v)))
}

// index is Python's x[key]; not ok where that raises TypeError or LookupError.
func (r *render) index(x, key Value) (Value, bool) {
	defined(x)
	switch v := x.(type) {
	case *Dict:
		k, ok := r.hash(key)
		if !ok {
			return nil, false
		}
		return v.find(k)
	case *List:
		if i, ok := itemIndex(key, len(v.Items)); ok && isIndexed(v) {
			return v.Items[i], true
		}
	case string, safeText:
		if _, isNum := asInt(key); !isNum {
			return nil, false
		}
		text := r.runes(x)
		if i, ok := itemIndex(key, len(text)); ok {
			return like(x, string(text[i])), true
		}
	}
	return nil, false
}

// itemIndex turns a Python index into an offset below n.
func itemIndex(key Value, n int) (int, bool) {
	i, ok := asInt(key)
	if i < 0 {
		i += int64(n)
	}
	return int(i), ok && 0 <= i && i < int64(n)
}

// runes are the code points of a str.
func (r *render) runes(v Value) []rune {
	s, _ := asString(v)
	r.slowWork(len(s))
	r.grow(int64(4 * len(s)))
	return []rune(s)
}

// slice is x[start:stop:step].
func (r *render) slice(x Value, bounds [3]Value) Value {
	for _, b := range bounds {
		_, ok := asInt(b)
		require(ok || b == nil, "TypeError", "slice indices must be integers or None or have an __index__ method")
	}
	defined(x)
	if _, ok := asString(x); ok {
		return like(x, string(cut(r, r.runes(x), bounds)))
	}
	l, ok := x.(*List)
	require(ok && isIndexed(l), "TypeError", "'%s' object is not subscriptable", typeName(x))
	return &List{Items: cut(r, l.Items, bounds), kind: l.kind}
}

// cut takes a slice's elements; they are not the caller's to change.
func cut[T any](r *render, items []T, bounds [3]Value) []T {
	start, step, n := sliceRange(len(items), bounds)
	if step == 1 {
		return items[start : start+n : start+n]
	}
	r.grow(int64(16 * n))
	out := make([]T, n)
	for i := range out {
		out[i] = items[start+i*step]
	}
	return out
}

// sliceRange gives the first offset, the step and the number of elements that a slice takes of size.
func sliceRange(size int, bounds [3]Value) (start, step, count int) {
	by, ok := asInt(bounds[2])
	if !ok {
		by = 1
	}
	require(by != 0, "ValueError", "slice step cannot be zero")
	n := int64(size)
	low, high := int64(0), n
	first, last := low, high
	if by < 0 {
		low, high = -1, n-1
		first, last = high, low
	}
	bound := func(v Value, def int64) int64 {
		i, ok := asInt(v)
		if !ok {
			return def
		}
		if i < 0 {
			i += n
		}
		return min(max(i, low), high)
	}
	first, last = bound(bounds[0], first), bound(bounds[1], last)
	return int(first), int(by), int(rangeLen(first, last, by))
}

// rangeLen is the number of elements of Python's range(start, stop, step).
func rangeLen(start, stop, step int64) uint64 {
	if step < 0 {
		start, stop, step = stop, start, -step
	}
	if start >= stop {
		return 0
	}
	return (uint64(stop)-uint64(start)-1)/uint64(step) + 1
}
