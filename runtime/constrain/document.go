package constrain

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// value is a JSON value as a document holds it, whose members keep their order: properties are generated in it.
type value struct {
	raw    json.RawMessage // its text; nil where it was made of others
	names  []string        // of an object, in their order
	fields map[string]*value
	items  []*value // of a list
	parent *value
	name   string // in its parent
	sameAs string // what same returned
}

func (v *value) has(name string) bool { _, ok := v.fields[name]; return ok }

// is says whether v is one of JSON's words.
func (v *value) is(word string) bool { return v != nil && string(v.raw) == word }

// at is the value's place, as $ref writes it.
func (v *value) at() string {
	if v.parent == nil {
		return "#"
	}
	return v.parent.at() + "/" + v.name
}

// parseJSON reads a document in one pass. Of a name that comes twice the last value holds, as in encoding/json.
func parseJSON(source []byte) (*value, bool) {
	if !json.Valid(source) {
		return nil, false
	}
	r := reader{source, json.NewDecoder(bytes.NewReader(source))}
	return r.value(nil, ""), true
}

type reader struct {
	source []byte
	d      *json.Decoder
}

func (r *reader) value(parent *value, name string) *value {
	v := &value{parent: parent, name: name}
	begin := r.d.InputOffset()
	begin += int64(bytes.IndexFunc(r.source[begin:], func(c rune) bool { return !strings.ContainsRune(" \t\r\n,:", c) }))
	switch t, _ := r.d.Token(); t { // the text is valid JSON
	case json.Delim('{'):
		v.fields = map[string]*value{}
		for r.d.More() {
			key, _ := r.d.Token()
			name, _ := key.(string)
			if !v.has(name) {
				v.names = append(v.names, name)
			}
			v.fields[name] = r.value(v, name)
		}
		_, _ = r.d.Token()
	case json.Delim('['):
		v.items = []*value{}
		for r.d.More() {
			v.items = append(v.items, r.value(v, strconv.Itoa(len(v.items))))
		}
		_, _ = r.d.Token()
	}
	v.raw = r.source[begin:r.d.InputOffset()]
	return v
}

// KindOf is the type of a JSON value, as JSON Schema names it. Integers are numbers.
func KindOf(value json.RawMessage) string {
	byBegin := map[byte]string{'"': "string", '{': "object", '[': "array", 't': "boolean", 'f': "boolean", 'n': "null"}
	return cmp.Or(byBegin[value[0]], "number")
}

// text is a string's; empty where v is none.
func (v *value) text() (text string) {
	if len(v.raw) > 0 && v.raw[0] == '"' {
		_ = json.Unmarshal(v.raw, &text) // the text is valid JSON
	}
	return text
}

// constant is the one text that the value is written as: equal ones are written alike.
func (v *value) constant() string {
	switch {
	case v.fields != nil:
		parts := make([]string, len(v.names))
		for i, name := range v.names {
			parts[i] = quote(name) + ":" + v.fields[name].constant()
		}
		return "{" + strings.Join(parts, ",") + "}"
	case v.items != nil:
		parts := make([]string, len(v.items))
		for i, item := range v.items {
			parts[i] = item.constant()
		}
		return "[" + strings.Join(parts, ",") + "]"
	case v.raw[0] == '"':
		return quote(v.text())
	}
	if r := v.rational(); r != nil {
		if places, exact := r.FloatPrec(); exact && places <= maxFraction {
			return r.FloatString(places)
		}
	}
	return string(v.raw)
}

// equal says whether two values are the same to JSON Schema: 1.0 is 1, and the order of members does not matter.
func (v *value) equal(w *value) bool { return v.same() == w.same() }

// same is a short text that equal values have in common, and no others.
func (v *value) same() string {
	if v.sameAs != "" {
		return v.sameAs
	}
	text := v.raw
	switch {
	case v.fields != nil:
		text = []byte{'{'}
		for _, name := range slices.Sorted(slices.Values(v.names)) {
			text = fmt.Appendf(text, "%s:%s,", quote(name), v.fields[name].same())
		}
	case v.items != nil:
		text = []byte{'['}
		for _, item := range v.items {
			text = append(append(text, item.same()...), ',')
		}
	case v.raw[0] == '"':
		text = []byte(quote(v.text()))
	default:
		if r := v.rational(); r != nil {
			text = []byte(r.RatString())
		}
	}
	if v.sameAs = string(text); len(text) > 64 {
		v.sameAs = fmt.Sprintf("#%x", sha256.Sum256(text))
	}
	return v.sameAs
}

// Resolve follows a JSON pointer, as $ref writes it, from the document's root.
func Resolve(root json.RawMessage, ref string) (json.RawMessage, bool) {
	v, ok := parseJSON(root)
	if !ok {
		return nil, false
	}
	if v = v.resolve(ref); v == nil {
		return nil, false
	}
	return v.raw, true
}

// resolve returns nil where the reference leads nowhere inside the document.
func (v *value) resolve(ref string) *value {
	if id := v.fields["$id"]; id != nil {
		ref = cmp.Or(strings.TrimPrefix(ref, strings.TrimSuffix(id.text(), "#")), "#")
	}
	pointer, ok := strings.CutPrefix(ref, "#")
	switch {
	case !ok:
		return nil
	case pointer == "":
		return v
	case pointer[0] != '/':
		return v.anchored(pointer)
	}
	for part := range strings.SplitSeq(pointer[1:], "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(unescape(part))
		if i, err := strconv.Atoi(part); v.items != nil && err == nil && 0 <= i && i < len(v.items) {
			v = v.items[i]
		} else if v = v.fields[part]; v == nil {
			return nil
		}
	}
	return v
}

// anchored finds the value with an $anchor.
func (v *value) anchored(name string) *value {
	if a := v.fields["$anchor"]; a != nil && a.text() == name {
		return v
	}
	for _, n := range v.names {
		if found := v.fields[n].anchored(name); found != nil {
			return found
		}
	}
	for _, item := range v.items {
		if found := item.anchored(name); found != nil {
			return found
		}
	}
	return nil
}
