package jinja

import (
	"slices"
	"strconv"
	"strings"
)

func identity(v Value) Value { return v }

func init() {
	filters.add("first", "", filterFirst)
	filters.add("last", "", filterLast)
	filters.add("list", "", func(r *render, v Value, _ []Value) Value { return &List{Items: r.items(v)} })
	filters.add("items", "", filterItems)
	filters.add("join", "d? attribute!", func(r *render, v Value, a []Value) Value {
		return r.joined(r.str(given(a[0], "")), r.items(v), r.str)
	})
	filters.add("sort", "reverse! case_sensitive! attribute!", func(r *render, v Value, _ []Value) Value {
		items := r.items(v)
		return r.sorted(items, r.lowered(items))
	})
	filters.add("dictsort", "case_sensitive! by! reverse!", filterDictsort)
	filters.add("unique", "case_sensitive! attribute!", filterUnique)
	filters.addRaw("map", filterMap)
	filters.addRaw("select", choose(false, true))
	filters.addRaw("reject", choose(false, false))
	filters.addRaw("selectattr", choose(true, true))
	filters.addRaw("rejectattr", choose(true, false))
}

func filterFirst(r *render, v Value, _ []Value) Value {
	items := r.items(v)
	if len(items) == 0 {
		return because("No first item, sequence was empty.")
	}
	if isKind(v, generator) {
		v.(*List).Items = items[1:] // it keeps the rest
	}
	return items[0]
}

func filterLast(r *render, v Value, _ []Value) Value {
	require(iterable(v) && !isKind(v, generator), "TypeError", "'%s' object is not reversible", typeName(v))
	if items := r.items(v); len(items) > 0 {
		return items[len(items)-1]
	}
	return because("No last item, sequence was empty.")
}

func filterItems(r *render, v Value, _ []Value) Value {
	if isUndefined(v) {
		return &List{kind: generator}
	}
	d, ok := v.(*Dict)
	require(ok, "TypeError", "Can only get item pairs from a mapping.")
	return &List{Items: r.parts(d, pairOf), kind: generator}
}

// attrGetter follows a dotted path, integers being indexes.
func (r *render) attrGetter(path Value) func(v Value) Value {
	text := r.str(path)
	r.grow(int64(16*len(text) + 64))
	var parts []Value
	for _, p := range strings.Split(text, ".") {
		if n, err := strconv.ParseUint(p, 10, 63); err == nil {
			parts = append(parts, int64(n))
		} else {
			parts = append(parts, p)
		}
	}
	return func(v Value) Value {
		for _, p := range parts {
			r.step(1)
			v = r.getItem(v, p)
		}
		return v
	}
}

// lowered is what sort and its kin compare: the elements, texts in lower case.
func (r *render) lowered(items []Value) []Value {
	return r.each(items, func(v Value) Value {
		if _, isText := asString(v); isText {
			return mapped(lowerText)(r, v, nil)
		}
		return v
	})
}

// each is f of every element.
func (r *render) each(items []Value, f func(v Value) Value) []Value {
	r.grow(int64(48 * len(items)))
	out := make([]Value, len(items))
	for i, x := range items {
		r.step(1)
		out[i] = f(x)
	}
	return out
}

func filterDictsort(r *render, v Value, _ []Value) Value {
	defined(v)
	d, ok := v.(*Dict)
	require(ok, "AttributeError", "'%s' object has no attribute 'items'", typeName(v))
	return r.sorted(r.parts(d, pairOf), r.lowered(r.parts(d, keyOf)))
}

func filterUnique(r *render, v Value, _ []Value) Value {
	items, seen := r.items(v), NewDict()
	out := &List{kind: generator}
	for i, key := range r.lowered(items) {
		if _, is := seen.find(r.key(key)); !is {
			r.put(seen, key, nil)
			out.Items = append(out.Items, items[i])
		}
	}
	return out
}

func filterMap(r *render, v Value, a *args) Value {
	out := &List{kind: generator}
	if !truth(v) {
		return out
	}
	var get func(v Value) Value
	if len(a.pos) > 0 {
		get = r.named("filter", filters, a.pos, a)
	} else {
		require(len(a.names) > 0, "FilterArgumentError", "map requires a filter argument")
		refuseIf(!slices.Equal(a.names, []string{"attribute"}), "the filter 'map' with more than an attribute")
		get = r.attrGetter(a.named[0])
	}
	r.enter()
	out.Items = r.each(r.items(v), get)
	r.leave()
	return out
}

// named is a filter or test by its computed name and the arguments behind that.
func (r *render) named(what string, t table, pos []Value, a *args) func(v Value) Value {
	name, _ := asString(pos[0])
	b := t[name]
	require(b != nil, "TemplateRuntimeError", "No %s named %s.", what, quoteRepr(clip(name)))
	b.check()
	rest := &args{pos: pos[1:], names: a.names, named: a.named}
	return func(v Value) Value { return b.call(r, v, rest) }
}

// choose makes select, reject, selectattr and rejectattr, whose arguments are [attribute,] [test name, its arguments…].
func choose(attr, keep bool) func(*render, Value, *args) Value {
	return func(r *render, v Value, a *args) Value {
		out := &List{kind: generator}
		if !truth(v) {
			return out
		}
		get, pass, pos := identity, identity, a.pos
		if attr {
			require(len(pos) != 0, "FilterArgumentError", "Missing parameter for attribute name")
			get, pos = r.attrGetter(pos[0]), pos[1:]
		}
		if len(pos) > 0 {
			pass = r.named("test", tests, pos, a)
		}
		r.enter()
		for _, x := range r.items(v) {
			r.step(4)
			if truth(pass(get(x))) == keep {
				r.grow(16)
				out.Items = append(out.Items, x)
			}
		}
		r.leave()
		return out
	}
}
