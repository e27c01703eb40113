package constrain

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// object writes the listed properties in their order; those that are not required may be left out. Where none is listed,
// any member may come that additionalProperties allows.
func (s *schemas) object(o *object, at string) *node {
	required := names(o, at)
	extra, extraAllowed := json.RawMessage("true"), true
	if o.has("additionalProperties") {
		extra = o.values["additionalProperties"]
		extraAllowed = string(extra) != "false"
	}
	listed := &object{values: map[string]json.RawMessage{}}
	if o.has("properties") {
		var ok bool
		if listed, ok = parseObject(o.values["properties"]); !ok {
			return refuse("the schema at %s: properties must be an object", at)
		}
	}
	for _, name := range required {
		if listed.has(name) {
			continue
		}
		if !extraAllowed {
			return refuse("the schema at %s: %q is required, but properties does not list it and additionalProperties forbids it", at, shorten(name))
		}
		listed.names, listed.values[name] = append(listed.names, name), extra
	}
	if len(listed.names) == 0 {
		return s.members(extra, extraAllowed, at)
	}
	n := &node{op: opFields, between: s.g.comma()}
	for _, name := range listed.names {
		key, err := marshal(name)
		if err != nil {
			return refuse("the schema at %s: property %q cannot be written", at, shorten(name))
		}
		value := s.node(listed.values[name], at+"/properties/"+name)
		member := seq(literal(key), colon(), value)
		n.kids, n.optional = append(n.kids, member), append(n.optional, !slices.Contains(required, name))
		n.size = grow(n.size, member.size+n.between.size+2)
	}
	return s.g.braces(n)
}

// members are any names with values of the schema extra.
func (s *schemas) members(extra json.RawMessage, allowed bool, at string) *node {
	if !allowed {
		return s.g.braces(empty)
	}
	value := s.node(extra, at+"/additionalProperties")
	return s.g.anyObject(s.shared(value))
}

// shared makes a rule of what is to be written more than once.
func (s *schemas) shared(n *node) *node {
	if n.size < 8 {
		return n
	}
	s.g.rules = append(s.g.rules, n)
	return &node{op: opCall, rule: len(s.g.rules) - 1, size: 1}
}

func names(o *object, at string) []string {
	var list []string
	if o.has("required") && json.Unmarshal(o.values["required"], &list) != nil {
		refuse("the schema at %s: required must be a list of names", at)
	}
	return list
}

func (s *schemas) array(o *object, at string) *node {
	least, most := counts(o, at, "minItems", "maxItems")
	item := s.g.anyValue()
	if o.has("items") {
		item = s.node(o.values["items"], at+"/items")
	}
	return s.g.list(s.shared(item), least, most)
}

// counts reads a least and a most number; most is −1 where there is none.
func counts(o *object, at, low, high string) (least, most int) {
	most = -1
	for _, f := range []struct {
		name string
		to   *int
	}{{low, &least}, {high, &most}} {
		if !o.has(f.name) {
			continue
		}
		v, err := strconv.ParseFloat(string(o.values[f.name]), 64)
		if err != nil || v != math.Trunc(v) || v < 0 {
			refuse("the schema at %s: %s must be an integer, at least 0", at, f.name)
		}
		if v > MaxRepeat {
			refuse("the schema at %s: %s is %v: at most %d is allowed", at, f.name, v, MaxRepeat)
		}
		*f.to = int(v)
	}
	if most >= 0 && most < least {
		refuse("the schema at %s: %s is %d and %s is %d: no value satisfies both", at, low, least, high, most)
	}
	return least, most
}

const (
	dateForm = `\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])`
	hourForm = `([01]\d|2[0-3]):[0-5]\d`
	timeForm = hourForm + `:[0-5]\d(\.\d{1,6})?(Z|[+-]` + hourForm + `)`
)

// formats are what the formats look like. Each is narrower than its standard: no 29th to 31st of a month, no leap second.
var formats = map[string]string{
	"date":      dateForm,
	"time":      timeForm,
	"date-time": dateForm + "T" + timeForm,
	"uuid":      `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"ipv4":      `((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`,
	"email":     `[a-z0-9]{1,16}([._-][a-z0-9]{1,15}){0,2}@[a-z0-9]{1,16}(-[a-z0-9]{1,16})?(\.[a-z0-9]{1,16}){0,3}\.[a-z]{2,12}`,
}

func (s *schemas) text(o *object, at string) *node {
	least, most := counts(o, at, "minLength", "maxLength")
	var given []string
	for _, k := range kinds["string"] {
		if o.has(k) {
			given = append(given, k)
		}
	}
	expression := ""
	switch {
	case !o.has("pattern") && !o.has("format"):
		return s.g.text(least, most)
	case len(given) > 1:
		return refuse("the schema at %s: %s and %s together are not supported: put everything into one pattern", at, given[0], given[1])
	case o.has("pattern"):
		if json.Unmarshal(o.values["pattern"], &expression) != nil {
			return refuse("the schema at %s: pattern must be a string", at)
		}
	default:
		var name string
		if json.Unmarshal(o.values["format"], &name) != nil || formats[name] == "" {
			return refuse("the schema at %s: format %s is not supported: use pattern", at, shorten(string(o.values["format"])))
		}
		expression = "^(?:" + formats[name] + ")$"
	}
	inside := s.g.regex(expression, stringRunes, false)
	return quoted(inside)
}

// integer reads the bounds.
func (s *schemas) integer(o *object, at string) *node {
	if !slices.ContainsFunc(kinds["integer"], o.has) {
		return integer()
	}
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	for _, f := range kinds["integer"] {
		if !o.has(f) {
			continue
		}
		v, err := strconv.ParseFloat(string(o.values[f]), 64)
		if err != nil || math.Abs(v) > 1e15 {
			return refuse("the schema at %s: %s must be a number within ±1e15", at, f)
		}
		switch f {
		case "minimum":
			lo = max(lo, int64(math.Ceil(v)))
		case "maximum":
			hi = min(hi, int64(math.Floor(v)))
		case "exclusiveMinimum":
			lo = max(lo, int64(math.Floor(v))+1)
		case "exclusiveMaximum":
			hi = min(hi, int64(math.Ceil(v))-1)
		}
	}
	if lo > hi {
		return refuse("the schema at %s: no integer is within the bounds", at)
	}
	return between(lo, hi)
}
