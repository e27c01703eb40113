package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// maxJSONDepth bounds the nesting of JSON variables.
const maxJSONDepth = 200

// FromJSON reads one JSON value as Python's json.loads does: objects keep
// their key order, integers stay exact, a repeated key keeps its first place
// and its last value.
func FromJSON(data []byte) (Value, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	tok, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("read JSON for a template: %w", err)
	}
	v, err := readJSON(dec, tok, 0)
	if err != nil {
		return nil, fmt.Errorf("read JSON for a template: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("read JSON for a template: text after the value at byte %d", dec.InputOffset())
	}
	return v, nil
}

func readJSON(dec *json.Decoder, tok json.Token, depth int) (Value, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxJSONDepth)
	}
	switch t := tok.(type) {
	case nil:
		return nil, nil
	case bool:
		return t, nil
	case string:
		return t, nil
	case json.Number:
		return readNumber(string(t))
	case json.Delim:
		if t == '[' {
			return readArray(dec, depth)
		}
		return readObject(dec, depth)
	}
	return nil, fmt.Errorf("unexpected %v", tok)
}

func readArray(dec *json.Decoder, depth int) (Value, error) {
	l := &List{Items: []Value{}}
	for {
		tok, err := dec.Token()
		if err != nil {
			return nil, noEOF(err)
		}
		if tok == json.Delim(']') {
			return l, nil
		}
		v, err := readJSON(dec, tok, depth+1)
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
	}
}

func readObject(dec *json.Decoder, depth int) (Value, error) {
	d := NewDict()
	for {
		tok, err := dec.Token()
		if err != nil {
			return nil, noEOF(err)
		}
		key, ok := tok.(string)
		if !ok {
			return d, nil // '}': the decoder admits nothing else here
		}
		if tok, err = dec.Token(); err != nil {
			return nil, noEOF(err)
		}
		v, err := readJSON(dec, tok, depth+1)
		if err != nil {
			return nil, err
		}
		d.Set(key, v)
	}
}

func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // Token returns io.EOF itself
		return io.ErrUnexpectedEOF
	}
	return err
}

func readNumber(s string) (Value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, err
		}
		return f, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	if len(s) > maxIntBits/4 {
		return nil, fmt.Errorf("an integer of %d digits; at most %d", len(s), maxIntBits/4)
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return nil, fmt.Errorf("not an integer: %s", clip(s))
	}
	return n, nil
}

// FromGo makes a Value of plain Go data: nil, bool, string, the ints, float64,
// []any, map[string]any (keys sorted), json.RawMessage (order kept) or a Value.
func FromGo(v any) (Value, error) {
	switch v := v.(type) {
	case nil, bool, string, int64, float64, *big.Int, Markup, *List, *Tuple, *Dict:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case float32:
		return float64(v), nil
	case json.RawMessage:
		return FromJSON(v)
	case json.Number:
		return readNumber(string(v))
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("make a template value of %T: %w", v, err)
	}
	return FromJSON(data)
}
