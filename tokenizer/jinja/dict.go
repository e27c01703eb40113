package jinja

import "math"

// Dict is a Python dict: it keeps the order in which keys were first set.
type Dict struct {
	entries []entry
	index   map[dictKey]int // of the entries, once there are more than fewKeys
}

type entry struct {
	hash     dictKey
	key, val Value
}

// fewKeys are found faster one by one than by a map.
const fewKeys = 8

// dictKey makes equal Python keys equal Go keys: 1, 1.0 and True are one key.
type dictKey struct {
	kind byte
	s    string
	n    int64
}

// NewDict makes an empty dict.
func NewDict() *Dict { return &Dict{} }

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.entries) }

// Set adds or replaces a string key. It must not be called once a render has been given the dict.
func (d *Dict) Set(key string, v Value) { d.set(dictKey{kind: 's', s: key}, key, v) }

// Get looks a string key up.
func (d *Dict) Get(key string) (Value, bool) { return d.find(dictKey{kind: 's', s: key}) }

func (d *Dict) find(k dictKey) (Value, bool) {
	if i := d.at(k); i >= 0 {
		return d.entries[i].val, true
	}
	return nil, false
}

func (d *Dict) at(k dictKey) int {
	if d.index != nil {
		if i, ok := d.index[k]; ok {
			return i
		}
		return -1
	}
	for i := range d.entries {
		if d.entries[i].hash == k {
			return i
		}
	}
	return -1
}

func (d *Dict) set(k dictKey, key, v Value) {
	if i := d.at(k); i >= 0 {
		d.entries[i].val = v
		return
	}
	d.entries = append(d.entries, entry{hash: k, key: key, val: v})
	switch {
	case d.index != nil:
		d.index[k] = len(d.entries) - 1
	case len(d.entries) > fewKeys:
		d.index = make(map[dictKey]int, 2*fewKeys)
		for i := range d.entries {
			d.index[d.entries[i].hash] = i
		}
	}
}

// put is d[key] = v, charged to the render.
func (r *render) put(d *Dict, key, v Value) {
	k := r.key(key)
	r.grow(96)
	d.set(k, key, v)
}

// key is a value as a key, which not every value can be.
func (r *render) key(v Value) dictKey {
	k, ok := r.hash(v)
	if !ok {
		panic(typeErr("unhashable type: '%s'", typeName(v)))
	}
	return k
}

// hash is Python's hash and equality in one comparable value; not ok for what has no hash.
func (r *render) hash(v Value) (dictKey, bool) {
	if s, ok := asString(v); ok {
		r.work(len(s))
		return dictKey{kind: 's', s: s}, true
	}
	switch v := v.(type) {
	case nil:
		return dictKey{kind: 'N'}, true
	case bool, int64:
		n, _ := asInt(v)
		return dictKey{kind: 'i', n: n}, true
	case bigInt:
		return dictKey{kind: 'b', s: string(v)}, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return dictKey{kind: 'i', n: int64(v)}, true
		}
		return dictKey{kind: 'f', n: int64(math.Float64bits(v))}, true
	case *Undefined:
		return dictKey{kind: 'U'}, true
	}
	if isKind(v, tuple) || isKind(v, ranged) {
		panic(unsupported("a %s as a key", typeName(v)))
	}
	return dictKey{}, false
}
