package api

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// bounds are those of an integer: a range of the model's, the row's own, or none.
func (f *Field) bounds(b *Bounds) (lo, hi int64) {
	switch {
	case f.Range != nil:
		l, h := f.Range(b)
		return int64(l), int64(h)
	case f.Lo == 0 && f.Hi == 0:
		return math.MinInt64, math.MaxInt64
	}
	return int64(f.Lo), int64(f.Hi)
}

// integer reads an integer. where is how messages call it: the field's name, or an entry of it.
func (f *Field) integer(raw json.RawMessage, where string, b *Bounds) (int, error) {
	lo, hi := f.bounds(b)
	code := CodeType
	if v, ok := Integer(raw); ok {
		if lo <= v && v <= hi {
			return int(v), nil
		}
		code = CodeValue
	}
	return 0, Bad(f.Name, code, "%s is %s: it must be %s", where, Show(raw), integerRange(lo, hi))
}

// number reads a number.
func (f *Field) number(raw json.RawMessage) (float64, error) {
	want := fmt.Sprintf("a number from %v to %s", f.Lo, plain(f.Hi))
	if f.Above {
		want = fmt.Sprintf("a number above %v and at most %s", f.Lo, plain(f.Hi))
	}
	code := CodeType
	if v, ok := Float(raw); ok {
		if v > f.Lo && v <= f.Hi || v == f.Lo && !f.Above {
			return v, nil
		}
		code = CodeValue
	}
	return 0, Bad(f.Name, code, "%s is %s: it must be %s%s", f.Name, Show(raw), want, f.hint())
}

// plain writes a number without an exponent.
func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// hint is what a message adds for a value that is out of bounds.
func (f *Field) hint() string {
	if f.Remedy == "" {
		return ""
	}
	return "; " + f.Remedy
}

func (f *Field) bool(raw json.RawMessage) (bool, error) {
	var v bool
	if json.Unmarshal(raw, &v) != nil {
		return false, Bad(f.Name, CodeType, "%s is %s: it must be true or false", f.Name, Show(raw))
	}
	return v, nil
}

// text reads a string: one of the words where there are some, else within the bounds on its bytes.
func (f *Field) text(b Body, name string) (string, error) {
	v, err := b.Text(name)
	switch {
	case err != nil:
		return "", err
	case len(f.Words) > 0 && !slices.Contains(f.Words, v):
		return "", Bad(f.Name, CodeValue, "%s is %s: it must be one of %s%s", f.Name, Quote(v), strings.Join(f.Words, ", "), f.hint())
	case v == "" && f.Lo > 0:
		return "", Bad(f.Name, CodeValue, "%s is empty: give at least one character, or leave it out", f.Name)
	case f.Hi > 0 && len(v) > int(f.Hi):
		return "", Bad(f.Name, CodeValue, "%s has %d bytes: at most %v are allowed", f.Name, len(v), f.Hi)
	}
	return v, nil
}

// texts reads a string or a list of strings.
func (f *Field) texts(raw json.RawMessage, b *Bounds) ([]string, error) {
	var one string
	if raw[0] == '"' && json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	var list []*string
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, Bad(f.Name, CodeType, "%s is %s: it must be a string or a list of strings", f.Name, Show(raw))
	}
	out := make([]string, len(list))
	for i, item := range list {
		if item == nil {
			return nil, Bad(f.Name, CodeType, "%s is null: it must be a string", where(f.Name, i))
		}
		out[i] = *item
	}
	return out, f.fits(len(out), "strings", b)
}

// integers reads an integer, or a list of different ones.
func (f *Field) integers(raw json.RawMessage, b *Bounds) ([]int, error) {
	if raw[0] != '[' {
		v, err := f.integer(raw, f.Name, b)
		return []int{v}, err
	}
	var out []int
	for item := range Items(raw) {
		at := where(f.Name, len(out))
		v, err := f.integer(item, at, b)
		switch {
		case err != nil:
			return nil, err
		case slices.Contains(out, v):
			return nil, Bad(f.Name, CodeValue, "%s is %d, which is in the list already: give each number once", at, v)
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		lo, hi := f.bounds(b)
		return nil, Bad(f.Name, CodeValue, "%s is an empty list: give at least one integer from %d to %d", f.Name, lo, hi)
	}
	return out, f.fits(len(out), "numbers", b)
}

// depths reads a list of numbers of loops, one for each token.
func (f *Field) depths(raw json.RawMessage, b *Bounds) ([]int, error) {
	bad := func(what string) ([]int, error) {
		return nil, Bad(f.Name, CodeValue, "%s %s: it must be a list of integers from %d to %d, one for each token", f.Name, what, b.MinLoops, b.MaxLoops)
	}
	if raw[0] != '[' {
		return bad("is " + Show(raw))
	}
	var out []int
	for item := range Items(raw) {
		n, ok := f.depth(item)
		if !ok {
			return nil, b.outOfRange(f.Name, where(f.Name, len(out)), item)
		}
		out = append(out, n)
	}
	if len(out) == 0 || len(out) > f.Most(b) {
		return bad(fmt.Sprintf("has %d entries", len(out)))
	}
	return out, nil
}

// depth reads a number of loops.
func (f *Field) depth(raw json.RawMessage) (int, bool) {
	n, ok := Integer(raw)
	return int(n), ok && n >= int64(f.Lo) && n == int64(int32(n))
}

// integerRange names a range of integers in messages.
func integerRange(lo, hi int64) string {
	switch {
	case lo == math.MinInt64 && hi == math.MaxInt64:
		return "an integer"
	case hi >= math.MaxInt32:
		return fmt.Sprintf("an integer, at least %d", lo)
	default:
		return fmt.Sprintf("an integer from %d to %d", lo, hi)
	}
}

// IDs reads a list of token ids, each below vocab. where is how messages call it: "prompt", "prompt[2]".
func IDs(raw json.RawMessage, param, where string, vocab int) ([]int32, error) {
	if raw[0] != '[' {
		return nil, Bad(param, CodeType, "%s is %s: it must be a list of token ids", where, Show(raw))
	}
	out := []int32{}
	for item := range Items(raw) {
		v, ok := Integer(item)
		if !ok {
			return nil, Bad(param, CodeType, "%s[%d] is %s: it must be a token id, an integer from 0 to %d", where, len(out), Show(item), vocab-1)
		}
		if v < 0 || v >= int64(vocab) {
			return nil, Bad(param, "token_id_out_of_range", "%s[%d] is %s: token ids go from 0 to %d", where, len(out), Show(item), vocab-1)
		}
		out = append(out, int32(v))
	}
	return out, nil
}
