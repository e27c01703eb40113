package api

import (
	"encoding/json"
)

// Integer reads a whole number in [lo, hi]; absent and null give def. 8.0 and 1e2 are whole numbers in JSON, too.
func (b Body) Integer(name string, def, lo, hi int64) (int64, error) {
	if !b.Has(name) {
		return def, nil
	}
	v, ok := Integer(b[name])
	if ok && v >= lo && v <= hi {
		return v, nil
	}
	code := CodeValue
	if !ok {
		code = CodeType
	}
	return 0, Bad(name, code, "%s is %s: it must be %s", name, Show(b[name]), IntegerRange(lo, hi))
}

// Number reads a number in [lo, hi].
func (b Body) Number(name string, def, lo, hi float64) (float64, error) {
	if !b.Has(name) {
		return def, nil
	}
	raw := b[name]
	var v float64
	isNumber := raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
	if isNumber && json.Unmarshal(raw, &v) == nil {
		if v >= lo && v <= hi {
			return v, nil
		}
		return 0, Bad(name, CodeValue, "%s is %s: it must be a number from %v to %v", name, Show(raw), lo, hi)
	}
	return 0, Bad(name, CodeType, "%s is %s: it must be a number from %v to %v", name, Show(raw), lo, hi)
}

// Boolean reads true or false.
func (b Body) Boolean(name string, def bool) (bool, error) {
	if !b.Has(name) {
		return def, nil
	}
	var v bool
	if err := json.Unmarshal(b[name], &v); err != nil {
		return false, Bad(name, CodeType, "%s is %s: it must be true or false", name, Show(b[name]))
	}
	return v, nil
}

// Texts reads a string or a list of strings.
func (b Body) Texts(name string) ([]string, error) {
	if !b.Has(name) {
		return nil, nil
	}
	raw := b[name]
	if raw[0] == '"' {
		v, err := b.Text(name)
		return []string{v}, err
	}
	var list []*string
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, Bad(name, CodeType, "%s is %s: it must be a string or a list of strings", name, Show(raw))
	}
	v := make([]string, len(list))
	for i, item := range list {
		if item == nil {
			return nil, Bad(name, CodeType, "%s[%d] is null: it must be a string", name, i)
		}
		v[i] = *item
	}
	return v, nil
}

// Reader collects the first error of a row of fields, so that reading them reads as a list.
type Reader struct {
	Body Body
	Err  error
}

// Integer reads an integer in [lo, hi].
func (r *Reader) Integer(name string, def, lo, hi int64) int {
	if r.Err != nil {
		return 0
	}
	v, err := r.Body.Integer(name, def, lo, hi)
	r.Err = err
	return int(v)
}

// Number reads a number in [lo, hi].
func (r *Reader) Number(name string, def, lo, hi float64) float64 {
	if r.Err != nil {
		return 0
	}
	v, err := r.Body.Number(name, def, lo, hi)
	r.Err = err
	return v
}

// Boolean reads true or false.
func (r *Reader) Boolean(name string, def bool) bool {
	if r.Err != nil {
		return false
	}
	v, err := r.Body.Boolean(name, def)
	r.Err = err
	return v
}
