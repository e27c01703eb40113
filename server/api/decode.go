package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Values are what a body says, checked against the table. A field that is absent has its default.
type Values struct {
	body   Body
	route  Route
	bounds *Bounds
	values map[string]any // of the route's rows
	given  map[string]bool
}

// Decode checks a body against the rows of a route.
func Decode(b Body, route Route, bounds *Bounds) (*Values, error) {
	v, err := DecodeDepth(b, route, bounds)
	if err != nil {
		return nil, err
	}
	return v, v.DecodeRest()
}

// DecodeDepth checks a body's names, and the rows of the depth. DecodeRest does the others: what a model says of the
// depth comes between, since it is named before any other mistake.
func DecodeDepth(b Body, route Route, bounds *Bounds) (*Values, error) {
	v := &Values{body: b, route: route, bounds: bounds, values: map[string]any{}, given: map[string]bool{}}
	switch {
	case route == Bench:
		if err := checkKnown(b, route); err != nil {
			return nil, err
		}
	case route&looped != 0:
		if err := checkNames(b); err != nil {
			return nil, err
		}
	}
	return v, v.decode(depthRows)
}

// DecodeRest checks all rows but those of the depth.
func (v *Values) DecodeRest() error { return v.decode(otherRows) }

func (v *Values) decode(rows []Field) error {
	for i := range rows {
		f := &rows[i]
		if f.Routes&v.route == 0 {
			continue
		}
		if err := v.take(f); err != nil {
			return err
		}
	}
	return nil
}

// take reads one row.
func (v *Values) take(f *Field) error {
	b, name := v.body, f.Name
	if object, inner, ok := strings.Cut(name, "."); ok {
		b, name = v.Object(object), inner
	}
	if !b.Has(name) || f.harmless(b[name]) {
		if f.Missing != "" {
			return Bad(name, CodeMissing, "%s is missing: %s", name, f.Missing)
		}
		if f.Kind != Refused {
			v.values[f.Name] = v.byDefault(f)
		}
		return nil
	}
	if f.Kind == Refused {
		if f.Unless != "" && v.body.Has(f.Unless) {
			return nil
		}
		return f.refuse(b[name])
	}
	value, err := f.read(b, name, v.bounds)
	if err != nil {
		return err
	}
	v.values[f.Name], v.given[f.Name] = value, true
	if f.Needs != "" && v.asks(f.Name) && !v.asks(f.Needs) {
		return Bad(f.Name, CodeValue, `%[1]s has no effect without "%[2]s": true: set %[2]s, or leave %[1]s out`, f.Name, f.Needs)
	}
	return nil
}

// Effort is the reasoning_effort, which reasoning may hold as well; empty where neither is given.
func (v *Values) Effort() string {
	return cmp.Or(v.Text("reasoning_effort"), v.Text("reasoning.effort"))
}

// byDefault is what absence stands for: the model's word, or the table's. What a model says of max_tokens is a bound to the
// table's, and not read here.
func (v *Values) byDefault(f *Field) any {
	if d, ok := v.bounds.Defaults[f.Name]; ok && f.Name != "max_tokens" {
		return d
	}
	return f.Default
}

func (f *Field) refuse(raw json.RawMessage) error {
	who := "the field is not supported by this version"
	switch {
	case f.Routes&^chats == 0:
		who = "a chat does not take the field"
	case f.Routes == Embeddings:
		who = "an embedding does not take the field"
	}
	return Bad(f.Name, "unsupported_field", "%s is %s: %s: %s", f.Name, Show(raw), who, f.Remedy)
}

// harmless says whether a value asks for nothing.
func (f *Field) harmless(raw json.RawMessage) bool {
	return slices.ContainsFunc(f.Harmless, func(harmless string) bool {
		var want, have any
		return json.Unmarshal([]byte(harmless), &want) == nil && json.Unmarshal(raw, &have) == nil && reflect.DeepEqual(want, have)
	})
}

// read reads a field that is given. name is its own inside its object.
func (f *Field) read(b Body, name string, bounds *Bounds) (any, error) {
	raw := b[name]
	switch f.Kind {
	case Bool:
		return f.bool(raw)
	case Int:
		if f.True != 0 && string(raw) == "true" {
			return f.True, nil
		}
		return f.integer(raw, f.Name, bounds)
	case Number:
		return f.number(raw)
	case Text:
		return f.text(b, name)
	case Object:
		return b.Object(name)
	case TextList:
		return f.texts(raw, bounds)
	case IDList:
		out, err := IDs(raw, f.Name, f.Name, bounds.Vocab)
		if err == nil {
			err = f.fits(len(out), "ids", bounds)
		}
		return out, err
	case IntList:
		return f.integers(raw, bounds)
	case Depth:
		if f.Auto != 0 && string(raw) == `"auto"` {
			return f.Auto, nil
		}
		n, ok := f.depth(raw)
		if !ok {
			e := bounds.outOfRange(f.Name, f.Name, raw)
			if f.Auto != 0 {
				e.Message += `, or "auto"`
			}
			return nil, e
		}
		return n, nil
	case DepthList:
		return f.depths(raw, bounds)
	}
	return raw, nil
}

// fits checks a number of entries.
func (f *Field) fits(n int, what string, bounds *Bounds) error {
	if f.Most == nil || n <= f.Most(bounds) {
		return nil
	}
	return Bad(f.Name, CodeValue, "%s has %d %s: at most %d are allowed", f.Name, n, what, f.Most(bounds))
}

// Has reports whether the field is given, at a value that asks for something.
func (v *Values) Has(name string) bool { return v.given[name] }

// asks reports whether the field is given and asks for something: false, 0 and "none" do not.
func (v *Values) asks(name string) bool {
	value := v.values[name]
	return v.given[name] && value != any("none") && !reflect.ValueOf(value).IsZero()
}

// OutOfRange is a 400 about a number of loops. what is how the message calls it: "loops", "header X-Loops".
func (v *Values) OutOfRange(param, what string, raw json.RawMessage) *Error {
	return v.bounds.outOfRange(param, what, raw)
}

// Raw is a field's JSON as it was sent, nil where the field is absent.
func (v *Values) Raw(name string) json.RawMessage {
	if !v.body.Has(name) {
		return nil
	}
	return v.body[name]
}

// Int is an integer, or a number of loops.
func (v *Values) Int(name string) int { return value[int](v, name) }

// Number is a number.
func (v *Values) Number(name string) float64 { return value[float64](v, name) }

// Bool is true or false.
func (v *Values) Bool(name string) bool { return value[bool](v, name) }

// Text is a string.
func (v *Values) Text(name string) string { return value[string](v, name) }

// Texts are the strings of a list, or of one string.
func (v *Values) Texts(name string) []string { return value[[]string](v, name) }

// IDs are token ids.
func (v *Values) IDs(name string) []int32 { return value[[]int32](v, name) }

// Ints are the integers of a list, or of one; nil where the field is absent.
func (v *Values) Ints(name string) []int { return value[[]int](v, name) }

// Object is a field that is an object; nil where it is absent.
func (v *Values) Object(name string) Body { return value[Body](v, name) }

// value is a field's, or zero where the route has no such field.
func value[T any](v *Values, name string) T {
	out, _ := v.values[name].(T)
	return out
}

// where names an entry of a list, as messages call it.
func where(name string, i int) string { return fmt.Sprintf("%s[%d]", name, i) }
