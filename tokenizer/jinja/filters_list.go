package jinja

import "strings"

// getter takes what a filter is to look at out of an element.
type getter func(v Value) Value

func identity(v Value) Value { return v }

func addListFilters(t table) {
	t.add("first", "", filterFirst)
	t.add("last", "", filterLast)
	t.add("list", "", func(r *render, v Value, _ []Value) Value { return &List{Items: r.copied(v)} })
	t.add("items", "", filterItems)
	t.add("join", "d? attribute?", filterJoin)
	t.add("sort", "reverse? case_sensitive? attribute?", filterSort)
	t.add("dictsort", "case_sensitive? by? reverse?", filterDictsort)
	t.add("unique", "case_sensitive? attribute?", filterUnique)
	t.add("min", "case_sensitive? attribute?", extreme("<"))
	t.add("max", "case_sensitive? attribute?", extreme(">"))
	t.add("sum", "attribute? start?", filterSum)
	t.addRaw("map", filterMap)
	t.addRaw("select", choose(false, true))
	t.addRaw("reject", choose(false, false))
	t.addRaw("selectattr", choose(true, true))
	t.addRaw("rejectattr", choose(true, false))
}

func filterFirst(r *render, v Value, _ []Value) Value {
	if isKind(v, generator) { // which keeps the rest
		g := v.(*List)
		if len(g.Items) > 0 {
			x := g.Items[0]
			g.Items = g.Items[1:]
			return x
		}
	}
	if items := r.items(v); len(items) > 0 {
		return items[0]
	}
	return &Undefined{hint: "No first item, sequence was empty."}
}

func filterLast(r *render, v Value, _ []Value) Value {
	if !iterable(v) || isKind(v, generator) {
		panic(typeErr("'%s' object is not reversible", typeName(v)))
	}
	if items := r.items(v); len(items) > 0 {
		return items[len(items)-1]
	}
	return &Undefined{hint: "No last item, sequence was empty."}
}

func filterItems(r *render, v Value, _ []Value) Value {
	if _, undef := v.(*Undefined); undef {
		return &List{kind: generator}
	}
	d, ok := v.(*Dict)
	if !ok {
		panic(typeErr("Can only get item pairs from a mapping."))
	}
	return &List{Items: r.view(d, itemsView).Items, kind: generator}
}

func filterJoin(r *render, v Value, a []Value) Value {
	sep := ""
	if a[0] != absent {
		sep = r.str(a[0])
	}
	get := r.attrGetter(a[1], nil)
	var b strings.Builder
	for i, x := range r.items(v) {
		s := r.str(get(x))
		r.grow(int64(len(s) + len(sep)))
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(s)
	}
	return b.String()
}

// attrGetter follows a dotted path, integers being indexes. def, if not nil, stands for what is undefined on the way.
func (r *render) attrGetter(path, def Value) getter {
	if path == absent || path == nil {
		return identity
	}
	parts := []Value{path}
	if s, ok := asString(path); ok {
		r.grow(int64(16*len(s) + 64))
		parts = parts[:0]
		for _, p := range strings.Split(s, ".") {
			if n, err := parseInteger(p); err == nil && p != "" && strings.Trim(p, "0123456789") == "" {
				parts = append(parts, n)
			} else {
				parts = append(parts, p)
			}
		}
	}
	return func(v Value) Value {
		for _, p := range parts {
			r.step(1)
			v = r.getItem(v, p)
			if _, undef := v.(*Undefined); undef && def != nil {
				v = def
			}
		}
		return v
	}
}

// sortKey is what sort, unique, min and max compare.
func (r *render) sortKey(attr, sensitive Value) getter {
	get := r.attrGetter(attr, nil)
	if isSet(sensitive) {
		return get
	}
	return func(v Value) Value {
		v = get(v)
		if s, ok := asString(v); ok {
			return r.mapped(s, lowerText)
		}
		return v
	}
}

func (r *render) keys(items []Value, key getter) []Value {
	r.grow(int64(48 * len(items)))
	out := make([]Value, len(items))
	for i, x := range items {
		r.step(1)
		out[i] = key(x)
	}
	return out
}

func filterSort(r *render, v Value, a []Value) Value {
	key := r.sortKey(absent, a[1])
	if attrs, ok := asString(a[2]); ok {
		var parts []getter
		for _, attr := range strings.Split(attrs, ",") {
			parts = append(parts, r.sortKey(attr, a[1]))
		}
		key = func(v Value) Value {
			all := &List{Items: make([]Value, len(parts))}
			for i, part := range parts {
				all.Items[i] = part(v)
			}
			return all
		}
	}
	items := r.items(v)
	return r.sorted(items, r.keys(items, key), isSet(a[0]))
}

func filterDictsort(r *render, v Value, a []Value) Value {
	by := textArg(a[1], "key")
	if by != "key" && by != "value" {
		panic(errorf("FilterArgumentError", `You can only sort by either "key" or "value"`))
	}
	defined(v)
	d, ok := v.(*Dict)
	if !ok {
		panic(errorf("AttributeError", "'%s' object has no attribute 'items'", typeName(v)))
	}
	part := keysView
	if by == "value" {
		part = valuesView
	}
	keys := r.keys(r.view(d, part).Items, r.sortKey(absent, a[0]))
	return r.sorted(r.view(d, itemsView).Items, keys, isSet(a[2]))
}

func filterUnique(r *render, v Value, a []Value) Value {
	key := r.sortKey(a[1], a[0])
	seen := NewDict()
	out := &List{kind: generator}
	for _, x := range r.items(v) {
		n := seen.Len()
		r.put(seen, key(x), nil)
		if seen.Len() > n {
			out.Items = append(out.Items, x)
		}
	}
	return out
}

func extreme(op string) func(*render, Value, []Value) Value {
	return func(r *render, v Value, a []Value) Value {
		key := r.sortKey(a[1], a[0])
		items := r.items(v)
		if len(items) == 0 {
			return &Undefined{hint: "No aggregated item, sequence was empty."}
		}
		keys := r.keys(items, key)
		best := 0
		for i := range keys {
			if i > 0 && r.compare(op, keys[i], keys[best]) {
				best = i
			}
		}
		return items[best]
	}
}

func filterSum(r *render, v Value, a []Value) Value {
	get := r.attrGetter(a[0], nil)
	total := a[1]
	if total == absent {
		total = int64(0)
	}
	if _, ok := asString(total); ok {
		panic(typeErr("sum() can't sum strings [use ''.join(seq) instead]"))
	}
	for _, x := range r.items(v) {
		total = r.arith("+", total, get(x))
	}
	return total
}

var mapAttribute = builtin{name: "map", params: []string{"attribute", "default"}, byName: true}

func filterMap(r *render, v Value, a *args) Value {
	if !truth(v) {
		return &List{kind: generator}
	}
	var get getter
	if len(a.pos) == 0 {
		p := mapAttribute.bind(a)
		if p[0] == absent {
			panic(errorf("FilterArgumentError", "map requires a filter argument"))
		}
		def := p[1]
		if def == absent {
			def = nil
		}
		get = r.attrGetter(p[0], def)
	} else {
		get = r.named("filter", filters, refusedFilters, a.pos, a)
	}
	r.enter()
	items := r.items(v)
	r.step(4)
	out := r.keys(items, get)
	r.leave()
	return &List{Items: out, kind: generator}
}

// named is a filter or test by its computed name and the arguments behind that.
func (r *render) named(what string, t table, refused map[string]bool, pos []Value, a *args) getter {
	name, _ := asString(pos[0])
	b := t[name]
	if refused[name] {
		panic(unsupported("the %s '%s'", what, name))
	}
	if b == nil {
		panic(errorf("TemplateRuntimeError", "No %s named %s.", what, quoteRepr(clip(name))))
	}
	rest := &args{pos: pos[1:], kwNames: a.kwNames, kwVals: a.kwVals}
	return func(v Value) Value { return b.call(r, v, rest) }
}

// choose makes select, reject, selectattr and rejectattr, whose arguments are [attribute,] [test name, its arguments…].
func choose(attr, keep bool) func(*render, Value, *args) Value {
	return func(r *render, v Value, a *args) Value {
		if !truth(v) {
			return &List{kind: generator}
		}
		get, pos := identity, a.pos
		if attr {
			if len(pos) == 0 {
				panic(errorf("FilterArgumentError", "Missing parameter for attribute name"))
			}
			get, pos = r.attrGetter(pos[0], nil), pos[1:]
		}
		pass := identity
		if len(pos) > 0 {
			pass = r.named("test", tests, refusedTests, pos, a)
		}
		r.enter()
		out := &List{kind: generator}
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
