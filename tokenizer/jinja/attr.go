package jinja

import "strings"

// getAttr is x.name: an attribute of the Python type first, then x["name"].
func (r *render) getAttr(x Value, name string) Value {
	if v, ok := r.attribute(x, name); ok {
		return v
	}
	if v, ok := r.index(x, name); ok {
		return v
	}
	return &Undefined{obj: x, hasObj: true, name: name}
}

// getItem is x[key]: the element first, then the attribute.
func (r *render) getItem(x, key Value) Value {
	if v, ok := r.index(x, key); ok {
		return v
	}
	if name, ok := asString(key); ok {
		if v, ok := r.attribute(x, name); ok {
			return v
		}
	}
	return &Undefined{obj: x, hasObj: true, name: key}
}

// dunders are attributes that every Python object has; the sandbox answers them with an undefined value whose use is a
// SecurityError.
var dunders = words(`__class__ __doc__ __init__ __dict__ __module__ __getattribute__ __new__ __reduce__ __reduce_ex__
	__repr__ __str__ __subclasshook__ __init_subclass__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __dir__
	__sizeof__ __format__ __setattr__ __delattr__ __len__ __getitem__ __iter__ __contains__ __call__ __globals__ __code__
	__func__ __self__`)

// attribute finds what Python's getattr would.
func (r *render) attribute(x Value, name string) (Value, bool) {
	if dunders[name] {
		return unsafeAttr(x, name), true
	}
	defined(x)
	switch v := x.(type) {
	case *namespace:
		return v.attrs.Get(name)
	case *loop:
		return v.attr(name)
	case safeText:
		panic(unsupported("the attribute '%s' of text that the safe filter made", clip(name)))
	}
	b := methods[typeName(x)][name]
	switch {
	case b == nil:
		return nil, false
	case b.unsafe:
		return unsafeAttr(x, name), true
	case b.fn == nil:
		panic(unsupported("the attribute %s.%s", typeName(x), name))
	}
	return &function{builtin: b, self: x}, true
}

// methods are the attributes of Python's types, by the type's name.
var methods = map[string]table{}

func init() {
	refuse("str", `casefold center count encode expandtabs format format_map index isalnum isalpha isascii isdecimal isdigit
		isidentifier islower isnumeric isprintable isspace istitle isupper ljust maketrans partition rfind rindex rjust
		rpartition rsplit swapcase translate zfill`)
	refuse("dict", "fromkeys")
	refuse("list", "count index")
	refuse("tuple", "count index")
	refuse("range", "count index start step stop")
	refuse("generator", "close gi_code gi_frame gi_running gi_yieldfrom send throw")
	refuse("dict_keys", "isdisjoint mapping")
	refuse("dict_items", "isdisjoint mapping")
	refuse("dict_values", "mapping")
	refuse("int", `as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag is_integer numerator real
		to_bytes`)
	methods["bool"] = methods["int"]
	refuse("float", "as_integer_ratio conjugate fromhex hex imag is_integer real")
	refuse("Macro", "arguments caller catch_kwargs catch_varargs explicit_caller name")
	for typ, names := range map[string]string{
		"list": "append clear extend insert pop remove reverse sort",
		"dict": "clear pop popitem setdefault update",
	} {
		methods[typ].put(names, builtin{unsafe: true})
	}
	addTextMethods(methods["str"])
	addListMethods(methods)
}

// refuse names attributes that Python has and this package has not.
func refuse(typ, names string) {
	methods[typ] = table{}
	methods[typ].put(names, builtin{})
}

func addListMethods(types map[string]table) {
	view := func(k kind) func(*render, Value, []Value) Value {
		return func(r *render, x Value, _ []Value) Value { return r.view(x.(*Dict), k) }
	}
	types["dict"].add("keys", "/", view(keysView))
	types["dict"].add("values", "/", view(valuesView))
	types["dict"].add("items", "/", view(itemsView))
	types["dict"].add("get", "key default? /", func(r *render, x Value, a []Value) Value {
		k, ok := r.hash(a[0])
		if !ok {
			panic(typeErr("unhashable type: '%s'", typeName(a[0])))
		}
		if v, ok := x.(*Dict).find(k); ok {
			return v
		}
		if a[1] == absent {
			return nil
		}
		return a[1]
	})
	types["dict"].add("copy", "/", func(_ *render, x Value, _ []Value) Value { return x }) // nothing changes it
	types["list"].add("copy", "/", func(_ *render, x Value, _ []Value) Value { return x })
}

// view is d.keys(), d.values() or d.items().
func (r *render) view(d *Dict, k kind) *List {
	r.grow(int64(16 * d.Len()))
	out := make([]Value, d.Len())
	for i, e := range d.entries {
		switch k {
		case keysView:
			out[i] = e.key
		case valuesView:
			out[i] = e.val
		default:
			r.grow(64)
			out[i] = &List{Items: []Value{e.key, e.val}, kind: tuple}
		}
	}
	return &List{Items: out, kind: k}
}

// trim takes whitespace, or the characters that are given, off the sides of s.
func (r *render) trim(s string, chars Value, left, right bool) string {
	drop := isSpace
	r.work(len(s))
	if chars != absent && chars != nil {
		set := textArg(chars, "")
		r.work(len(s) / 16 * len(set))
		drop = func(c rune) bool { return strings.ContainsRune(set, c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s
}
