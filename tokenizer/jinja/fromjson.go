package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
)

// maxJSONDepth bounds the nesting of JSON variables.
const maxJSONDepth = 200

// maxDigits bounds an integer's text, as Python does.
const maxDigits = 4300

// FromJSON reads one JSON value as Python's json.loads does: objects keep their key order, integers stay exact, a
// repeated key keeps its first place and its last value.
func FromJSON(data []byte) (Value, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := readJSON(dec, 0)
	if err != nil {
		return nil, fmt.Errorf("read JSON for a template: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read JSON for a template: text after the value at byte %d", dec.InputOffset())
	}
	return v, nil
}

func readJSON(dec *json.Decoder, depth int) (Value, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxJSONDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case json.Number:
		return readNumber(string(t))
	case json.Delim: // an opening one: More stops before a closing one
		if t == '[' {
			l := &List{Items: []Value{}}
			return l, readItems(dec, func() error {
				v, err := readJSON(dec, depth+1)
				l.Items = append(l.Items, v)
				return err
			})
		}
		d := NewDict()
		return d, readItems(dec, func() error {
			key, err := dec.Token() // a string: the decoder admits nothing else here
			if err != nil {
				return err
			}
			v, err := readJSON(dec, depth+1)
			d.Set(key.(string), v)
			return err
		})
	}
	return tok, nil // nil, a bool or a string
}

// readItems reads what an array or object holds, and its end.
func readItems(dec *json.Decoder, one func() error) error {
	for dec.More() {
		if err := one(); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func readNumber(s string) (Value, error) {
	if !strings.ContainsAny(s, ".eE") {
		return parseInteger(s)
	}
	return strconv.ParseFloat(s, 64) // an infinity is an error
}

// parseInteger reads decimal digits behind an optional minus.
func parseInteger(s string) (Value, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	if len(s) > maxDigits {
		return nil, fmt.Errorf("an integer has %d digits: at most %d are allowed", len(s), maxDigits)
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return nil, fmt.Errorf("%q is no integer", s)
	}
	return bigInt(n.String()), nil
}
