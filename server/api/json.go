package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxNesting bounds how deep a body's JSON may go: no field of this API needs more than a few levels.
const maxNesting = 64

// MaxFields bounds how many fields an object of the body has: fields that nobody knows are kept until the request ends.
const MaxFields = 256

// Body is a JSON object, split into its fields.
type Body map[string]json.RawMessage

// Has reports whether the field is there and not null: clients send null for what they leave open.
func (b Body) Has(name string) bool {
	v, ok := b[name]
	return ok && string(v) != "null"
}

// Text reads a string, which is empty where the field is absent.
func (b Body) Text(name string) (string, error) {
	if !b.Has(name) {
		return "", nil
	}
	var v string
	if err := json.Unmarshal(b[name], &v); err != nil {
		return "", Bad(name, CodeType, "%s is %s: it must be a string", name, Show(b[name]))
	}
	return v, nil
}

// Object reads a field that is itself an object; nil where it is absent.
func (b Body) Object(name string) (Body, error) {
	if !b.Has(name) {
		return nil, nil
	}
	if b[name][0] != '{' {
		return nil, Bad(name, CodeType, "%s is %s: it must be an object", name, Show(b[name]))
	}
	return Parse(b[name])
}

// notJSON is a 400 about a body that cannot be parsed.
func notJSON(format string, args ...any) error {
	return Bad("", "invalid_json", "request body is not valid JSON: "+format+": send one JSON object", args...)
}

// Parse splits a JSON object into its fields. A field given twice is refused: which one counts is anyone's guess.
func Parse(data []byte) (Body, error) {
	data = bytes.TrimSpace(data)
	switch first, _ := utf8.DecodeRune(data); {
	case len(data) == 0:
		return nil, notJSON("it is empty")
	case !utf8.Valid(data):
		return nil, notJSON("it is not UTF-8")
	case first != '{':
		return nil, notJSON("it starts with %s, not with {", Quote(string(first)))
	case nesting(data) > maxNesting:
		return nil, notJSON("it is nested deeper than %d levels", maxNesting)
	}
	if at, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(data, new(json.RawMessage))); ok {
		return nil, notJSON("%s (at byte %d)", at.Error(), at.Offset)
	}
	b := Body{}
	for name, value := range Members(data) {
		if _, twice := b[name]; twice {
			return nil, Bad(name, "duplicate_field", "field %s is given twice: give it once", Quote(name))
		}
		if len(b) == MaxFields {
			return nil, Bad("", "too_many_fields", "request body has more than %d fields: send fewer", MaxFields)
		}
		b[name] = value
	}
	return b, nil
}

// Members are the names and values of an object, in their order; values of a list have no names. What Parse has let through is
// valid JSON down to its leaves.
func Members(of json.RawMessage) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		d := json.NewDecoder(bytes.NewReader(of))
		open, err := d.Token()
		for err == nil && d.More() {
			var name string
			if open == json.Delim('{') {
				key, _ := d.Token()
				name, _ = key.(string)
			}
			var value json.RawMessage
			if err = d.Decode(&value); err != nil || !yield(name, value) {
				return
			}
		}
	}
}

// Items are the values of a list. One of numbers alone is cut at its commas: a body of token ids takes no more than its text.
func Items(list json.RawMessage) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		inner := bytes.TrimSpace(list[1 : len(list)-1])
		if len(inner) > 0 && !bytes.ContainsAny(inner, `"[{`) {
			for item := range bytes.SplitSeq(inner, []byte(",")) {
				if !yield(bytes.TrimSpace(item)) {
					return
				}
			}
			return
		}
		for _, value := range Members(list) {
			if !yield(value) {
				return
			}
		}
	}
}

// nesting is the depth of brackets outside strings. It runs before any parser does.
func nesting(data []byte) int {
	depth, most, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			most = max(most, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return most
}

// Compact is a value's JSON without spaces.
func Compact(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return string(raw)
	}
	return out.String()
}

// Integer reads a JSON number that has no fraction: 8.0 and 1e2 are integers, too.
func Integer(raw json.RawMessage) (int64, bool) {
	if v, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return v, true
	}
	f, ok := Float(raw)
	return int64(f), ok && f == math.Trunc(f) && math.Abs(f) < 1<<63
}

// Float reads a JSON number.
func Float(raw json.RawMessage) (float64, bool) {
	var v *float64 // nil for null
	if json.Unmarshal(raw, &v) != nil || v == nil {
		return 0, false
	}
	return *v, true
}

// Quote shows a text in a message: short, printable, in quotes.
func Quote(v string) string {
	const most = 60
	if len(v) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(v[cut]) {
			cut--
		}
		v = v[:cut] + "…"
	}
	return fmt.Sprintf("%q", v)
}

// Show is a value's JSON as messages quote it.
func Show(raw json.RawMessage) string {
	const most = 40
	s := strings.TrimSpace(string(raw))
	switch {
	case strings.HasPrefix(s, `"`):
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return Quote(text) + ", a string"
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

// OrNull is a text, or JSON's null where it is empty.
func OrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// Encode is json.Marshal that leaves <, > and & as they are: answers are read by programs, not inside HTML.
func Encode(v any) ([]byte, error) {
	var out bytes.Buffer
	if err := NewEncoder(&out).Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// NewEncoder writes the same, each value with a line break behind it.
func NewEncoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}
