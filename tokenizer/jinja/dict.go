package jinja

// Dict is a Python dict: it keeps the order in which keys were first set.
type Dict struct {
	entries []entry
	index   map[any]int // of the entries, by their hash
}

type entry struct {
	hash     any
	key, val Value
}

// NewDict makes an empty dict.
func NewDict() *Dict { return &Dict{index: map[any]int{}} }

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.entries) }

// Set adds or replaces a string key. It must not be called once a render has been given the dict.
func (d *Dict) Set(key string, v Value) { d.set(key, key, v) }

// Get looks a string key up.
func (d *Dict) Get(key string) (Value, bool) { return d.find(key) }

func (d *Dict) find(k any) (Value, bool) {
	if i, ok := d.index[k]; ok {
		return d.entries[i].val, true
	}
	return nil, false
}

func (d *Dict) set(k any, key, v Value) {
	if i, ok := d.index[k]; ok {
		d.entries[i].val = v
		return
	}
	d.index[k] = len(d.entries)
	d.entries = append(d.entries, entry{hash: k, key: key, val: v})
}

// put is d[key] = v, charged to the render.
func (r *render) put(d *Dict, key, v Value) {
	k := r.key(key)
	r.grow(128)
	d.set(k, key, v)
}

// key is a value as a key, which not every value can be.
func (r *render) key(v Value) any {
	k, ok := r.hash(v)
	require(ok, "TypeError", "unhashable type: '%s'", typeName(v))
	return k
}

// hash is Python's hash and equality in one comparable value; not ok for what has no hash.
func (r *render) hash(v Value) (k any, ok bool) {
	switch s := v.(type) {
	case string:
		r.work(len(s))
		return v, true
	case safeText:
		r.work(len(s))
		return string(s), true
	case nil, int64, bigInt, *Undefined:
		return v, true
	case *Dict:
		return nil, false
	}
	refuseIf(!isKind(v, list), "a %s as a key", typeName(v))
	return nil, false
}
