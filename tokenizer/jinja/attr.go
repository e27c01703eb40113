package jinja

// getAttr is x.name: an attribute of the Python type first, then x["name"]. name is a string.
func (r *render) getAttr(x, name Value) Value {
	if v, ok := r.attribute(x, name.(string)); ok {
		return v
	}
	if v, ok := r.index(x, name); ok {
		return v
	}
	return missing(x, name)
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
	return missing(x, key)
}

// dunders are attributes that every Python object has; the sandbox answers them with an undefined value whose use is a
// SecurityError.
var dunders = words(`__class__ __doc__ __init__ __dict__ __module__ __getattribute__ __new__ __reduce__ __reduce_ex__
	__repr__ __str__ __subclasshook__ __init_subclass__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __dir__
	__sizeof__ __format__ __setattr__ __delattr__ __len__ __getitem__ __iter__ __contains__ __call__ __globals__ __code__
	__func__ __self__`)

// attribute finds what Python's getattr would.
func (r *render) attribute(x Value, name string) (Value, bool) {
	b := methods[typeName(x)][name]
	if dunders[name] || b != nil && b.unsafe {
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
	if b == nil {
		return nil, false
	}
	b.check()
	return &function{builtin: b, self: x}, true
}

// methods are the attributes of Python's types, by the type's name.
var methods = map[string]table{}

func init() {
	for typ, names := range map[string]string{
		"str": `casefold center count encode expandtabs find format format_map index isalnum isalpha isascii isdecimal isdigit
			isidentifier islower isnumeric isprintable isspace istitle isupper ljust maketrans partition removeprefix
			removesuffix rfind rindex rjust rpartition rsplit splitlines swapcase translate zfill`,
		"dict":        "copy fromkeys",
		"list":        "copy count index",
		"tuple":       "count index",
		"range":       "count index start step stop",
		"generator":   "close gi_code gi_frame gi_running gi_yieldfrom send throw",
		"dict_keys":   "isdisjoint mapping",
		"dict_items":  "isdisjoint mapping",
		"dict_values": "mapping",
		"int":         intAttributes,
		"bool":        intAttributes,
		"float":       "as_integer_ratio conjugate fromhex hex imag is_integer real",
		"Macro":       "arguments caller catch_kwargs catch_varargs explicit_caller name",
	} {
		methods[typ] = table{}
		methods[typ].refuse("the attribute "+typ+".%s", names)
	}
	methods["list"].put("append clear extend insert pop remove reverse sort", builtin{unsafe: true})
	methods["dict"].put("clear pop popitem setdefault update", builtin{unsafe: true})
	addTextMethods(methods["str"])
	addDictMethods(methods["dict"])
}

const intAttributes = `as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag is_integer numerator real
	to_bytes`

func addDictMethods(t table) {
	view := func(k kind, part func(e entry) Value) func(*render, Value, []Value) Value {
		return func(r *render, x Value, _ []Value) Value { return &List{Items: r.parts(x.(*Dict), part), kind: k} }
	}
	t.add("keys", "", view(keysView, keyOf))
	t.add("values", "", view(valuesView, func(e entry) Value { return e.val }))
	t.add("items", "", view(itemsView, pairOf))
	t.add("get", "key default?", func(r *render, x Value, a []Value) Value {
		if v, ok := x.(*Dict).find(r.key(a[0])); ok {
			return v
		}
		return given(a[1], nil)
	})
}

func keyOf(e entry) Value  { return e.key }
func pairOf(e entry) Value { return &List{Items: []Value{e.key, e.val}, kind: tuple} }

// parts are the keys, the values or the items of a dict.
func (r *render) parts(d *Dict, part func(e entry) Value) []Value {
	r.grow(int64(80 * d.Len()))
	out := make([]Value, d.Len())
	for i, e := range d.entries {
		out[i] = part(e)
	}
	return out
}
