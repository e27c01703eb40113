package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Dict is a Python dict: it keeps the order in which keys were first set.
type Dict struct {
	index map[dictKey]int
	keys  []Value
	vals  []Value
}

// dictKey makes equal Python keys equal Go keys: 1, 1.0 and True are one key.
type dictKey struct {
	kind byte
	s    string
	n    int64
}

// NewDict makes an empty dict.
func NewDict() *Dict { return &Dict{} }

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

// Set adds or replaces a string key. It must not be called once a render has
// been given the dict.
func (d *Dict) Set(key string, v Value) { d.set(dictKey{kind: 's', s: key}, key, v) }

// Get looks a string key up.
func (d *Dict) Get(key string) (Value, bool) {
	i, ok := d.index[dictKey{kind: 's', s: key}]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

func (d *Dict) set(k dictKey, key, v Value) {
	if i, ok := d.index[k]; ok {
		d.vals[i] = v
		return
	}
	if d.index == nil {
		d.index = make(map[dictKey]int)
	}
	d.index[k] = len(d.keys)
	d.keys = append(d.keys, key)
	d.vals = append(d.vals, v)
}

func (d *Dict) setValue(m *machine, key, v Value) error {
	k, err := hashKey(m, key)
	if err != nil {
		return err
	}
	if err := m.grow(96); err != nil {
		return err
	}
	d.set(k, key, v)
	return nil
}

func (d *Dict) getValue(m *machine, key Value) (Value, bool, error) {
	if s, ok := key.(string); ok {
		v, found := d.Get(s)
		return v, found, nil
	}
	k, err := hashKey(m, key)
	if err != nil {
		return nil, false, err
	}
	i, ok := d.index[k]
	if !ok {
		return nil, false, nil
	}
	return d.vals[i], true, nil
}

func (d *Dict) clone(m *machine) (*Dict, error) {
	if err := m.grow(int64(96 * len(d.keys))); err != nil {
		return nil, err
	}
	c := NewDict()
	for k, i := range d.index {
		if c.index == nil {
			c.index = make(map[dictKey]int, len(d.index))
		}
		c.index[k] = i
	}
	c.keys = append([]Value(nil), d.keys...)
	c.vals = append([]Value(nil), d.vals...)
	return c, nil
}

// hashKey is Python's hash and equality in one comparable value.
func hashKey(m *machine, v Value) (dictKey, error) {
	switch v := v.(type) {
	case nil:
		return dictKey{kind: 'N'}, nil
	case string:
		return dictKey{kind: 's', s: v}, m.work(len(v))
	case Markup:
		return dictKey{kind: 's', s: string(v)}, m.work(len(v))
	case bool:
		return dictKey{kind: 'i', n: b2i(v)}, nil
	case int64:
		return dictKey{kind: 'i', n: v}, nil
	case *big.Int:
		return dictKey{kind: 'b', s: v.String()}, m.bigText(v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return dictKey{kind: 'i', n: int64(v)}, nil
		}
		return dictKey{kind: 'f', n: int64(math.Float64bits(v))}, nil
	case *Undefined:
		return dictKey{kind: 'U'}, nil
	case *rangeValue:
		s, _ := scalarStr(v)
		return dictKey{kind: 'r', s: s}, nil
	case *Tuple:
		if err := m.enter(); err != nil {
			return dictKey{}, err
		}
		defer m.leave()
		var b strings.Builder
		for _, it := range v.Items {
			k, err := hashKey(m, it)
			if err != nil {
				return dictKey{}, err
			}
			if err := m.grow(int64(len(k.s) + 24)); err != nil {
				return dictKey{}, err
			}
			b.WriteByte(k.kind)
			b.WriteString(strconv.FormatInt(k.n, 16))
			b.WriteByte(':')
			b.WriteString(strconv.Itoa(len(k.s)))
			b.WriteByte(':')
			b.WriteString(k.s)
		}
		return dictKey{kind: 't', s: b.String()}, nil
	}
	return dictKey{}, typeErr("unhashable type: '%s'", typeName(v))
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
