package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
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

// IntegerRange names a range of integers in messages.
func IntegerRange(lo, hi int64) string {
	switch {
	case lo == math.MinInt64 && hi == math.MaxInt64:
		return "an integer"
	case hi >= math.MaxInt32:
		return fmt.Sprintf("an integer, at least %d", lo)
	default:
		return fmt.Sprintf("an integer from %d to %d", lo, hi)
	}
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

// IDs reads a list of token ids, each below vocab. where is how messages call it: "prompt", "prompt[2]". It cuts the
// text at commas instead of decoding it: a body of ids would become ten times its size in memory.
func IDs(raw json.RawMessage, param, where string, vocab int) ([]int32, error) {
	var nested []json.RawMessage
	if raw[0] != '[' || bytes.ContainsAny(raw[1:], `"[{`) && json.Unmarshal(raw, &nested) != nil {
		return nil, Bad(param, CodeType, "%s is %s: it must be a list of token ids", where, Show(raw))
	}
	inner := bytes.TrimSpace(raw[1 : len(raw)-1])
	if len(inner) == 0 {
		return []int32{}, nil
	}
	out := make([]int32, 0, bytes.Count(inner, []byte(","))+1)
	items := bytes.SplitSeq(inner, []byte(","))
	if nested != nil { // an item has commas of its own, and is an error
		items = func(yield func([]byte) bool) {
			for _, item := range nested {
				if !yield(item) {
					return
				}
			}
		}
	}
	for item := range items {
		item = bytes.TrimSpace(item)
		v, ok := Integer(item)
		if !ok {
			return nil, Bad(param, CodeType, "%s[%d] is %s: it must be a token id, an integer from 0 to %d",
				where, len(out), Show(item), vocab-1)
		}
		if v < 0 || v >= int64(vocab) {
			return nil, Bad(param, "token_id_out_of_range", "%s[%d] is %s: token ids go from 0 to %d",
				where, len(out), Show(item), vocab-1)
		}
		out = append(out, int32(v))
	}
	return out, nil
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
