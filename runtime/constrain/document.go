package constrain

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
)

// object is a JSON object whose members keep their order: properties are generated in it.
type object struct {
	names  []string
	values map[string]json.RawMessage
}

func (o *object) has(name string) bool { _, ok := o.values[name]; return ok }

// parseObject reads an object. Of a name that comes twice the last value holds, as in encoding/json.
func parseObject(raw json.RawMessage) (*object, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	o := &object{values: map[string]json.RawMessage{}}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, false
		}
		var v json.RawMessage
		if d.Decode(&v) != nil {
			return nil, false
		}
		name, _ := key.(string)
		if !o.has(name) {
			o.names = append(o.names, name)
		}
		o.values[name] = v
	}
	return o, true
}

// KindOf is the type of a JSON value, as JSON Schema names it. Integers are numbers.
func KindOf(value json.RawMessage) string {
	byBegin := map[byte]string{'"': "string", '{': "object", '[': "array", 't': "boolean", 'f': "boolean", 'n': "null"}
	return cmp.Or(byBegin[value[0]], "number")
}

// Resolve follows a JSON pointer, as $ref writes it, from the document's root.
func Resolve(root json.RawMessage, ref string) (json.RawMessage, bool) {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, false
	}
	at := root
	if pointer == "" {
		return at, true
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if o, ok := parseObject(at); ok {
			if !o.has(part) {
				return nil, false
			}
			at = o.values[part]
			continue
		}
		var list []json.RawMessage
		i, err := strconv.Atoi(part)
		if err != nil || json.Unmarshal(at, &list) != nil || i < 0 || i >= len(list) {
			return nil, false
		}
		at = list[i]
	}
	return at, true
}
