package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

const codeType, codeValue = "invalid_type", "invalid_value"

// show is a field's JSON as messages quote it.
func show(raw json.RawMessage) string {
	const most = 40
	s := strings.TrimSpace(string(raw))
	switch {
	case strings.HasPrefix(s, `"`):
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return quote(text) + ", a string"
		}
	case strings.HasPrefix(s, "["):
		return "a list"
	case strings.HasPrefix(s, "{"):
		return "an object"
	}
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}

// integer reads a whole number in [lo, hi]; absent and null give def. 8.0 and 1e2 are whole numbers in JSON, too.
func (b body) integer(name string, def, lo, hi int64) (int64, error) {
	if !b.has(name) {
		return def, nil
	}
	v, ok := wholeNumber(b[name])
	if ok && v >= lo && v <= hi {
		return v, nil
	}
	code := codeValue
	if !ok {
		code = codeType
	}
	return 0, badField(name, code, "%s is %s: it must be %s", name, show(b[name]), integerRange(lo, hi))
}

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

// wholeNumber reads a JSON number that has no fraction.
func wholeNumber(raw json.RawMessage) (int64, bool) {
	s := string(raw)
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v, true
	}
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

// number reads a number in [lo, hi].
func (b body) number(name string, def, lo, hi float64) (float64, error) {
	if !b.has(name) {
		return def, nil
	}
	raw := b[name]
	var v float64
	isNumber := raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
	if isNumber && json.Unmarshal(raw, &v) == nil {
		if v >= lo && v <= hi {
			return v, nil
		}
		return 0, badField(name, codeValue, "%s is %s: it must be a number from %v to %v", name, show(raw), lo, hi)
	}
	return 0, badField(name, codeType, "%s is %s: it must be a number from %v to %v", name, show(raw), lo, hi)
}

func (b body) boolean(name string, def bool) (bool, error) {
	if !b.has(name) {
		return def, nil
	}
	var v bool
	if err := json.Unmarshal(b[name], &v); err != nil {
		return false, badField(name, codeType, "%s is %s: it must be true or false", name, show(b[name]))
	}
	return v, nil
}

func (b body) text(name string) (string, error) {
	if !b.has(name) {
		return "", nil
	}
	var v string
	if err := json.Unmarshal(b[name], &v); err != nil {
		return "", badField(name, codeType, "%s is %s: it must be a string", name, show(b[name]))
	}
	return v, nil
}

// object reads a field that is itself an object; nil where it is absent.
func (b body) object(name string) (body, error) {
	if !b.has(name) {
		return nil, nil
	}
	if b[name][0] != '{' {
		return nil, badField(name, codeType, "%s is %s: it must be an object", name, show(b[name]))
	}
	return parseBody(b[name])
}

// texts reads a string or a list of strings.
func (b body) texts(name string) ([]string, error) {
	if !b.has(name) {
		return nil, nil
	}
	raw := b[name]
	if raw[0] == '"' {
		v, err := b.text(name)
		return []string{v}, err
	}
	var list []*string
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, badField(name, codeType, "%s is %s: it must be a string or a list of strings", name, show(raw))
	}
	v := make([]string, len(list))
	for i, item := range list {
		if item == nil {
			return nil, badField(name, codeType, "%s[%d] is null: it must be a string", name, i)
		}
		v[i] = *item
	}
	return v, nil
}

// ids reads a list of token ids, each below vocab. where is how messages call it: "prompt", "prompt[2]". It cuts the
// text at commas instead of decoding it: a body of ids would become ten times its size in memory.
func ids(raw json.RawMessage, param, where string, vocab int) ([]int32, error) {
	var nested []json.RawMessage
	if raw[0] != '[' || bytes.ContainsAny(raw[1:], `"[{`) && json.Unmarshal(raw, &nested) != nil {
		return nil, badField(param, codeType, "%s is %s: it must be a list of token ids", where, show(raw))
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
		v, ok := wholeNumber(item)
		if !ok {
			return nil, badField(param, codeType, "%s[%d] is %s: it must be a token id, an integer from 0 to %d",
				where, len(out), show(item), vocab-1)
		}
		if v < 0 || v >= int64(vocab) {
			return nil, badField(param, "token_id_out_of_range", "%s[%d] is %s: token ids go from 0 to %d",
				where, len(out), show(item), vocab-1)
		}
		out = append(out, int32(v))
	}
	return out, nil
}
