package constrain

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// members writes the listed properties in their order; those that are not required may be left out. Where none is listed,
// any member may come that additionalProperties allows.
func (s *schema) members() *node {
	listed, required, extra := s.properties()
	if len(listed.names) == 0 {
		return s.g.anyObject(s.g.shared(s.node(extra, s.at+"/additionalProperties")))
	}
	n := &node{op: opFields, between: s.g.comma()}
	for _, name := range listed.names {
		value := s.node(listed.values[name], s.at+"/properties/"+name)
		n.kids = append(n.kids, seq(literal(quote(name)), colon(), value))
		n.optional = append(n.optional, !slices.Contains(required, name))
	}
	return s.g.brackets("{", n, "}")
}

// properties are those that are listed or required, the names of the latter, and the schema of all others.
func (s *schema) properties() (listed *object, required []string, extra json.RawMessage) {
	s.read("required", &required, "a list of names")
	extra = json.RawMessage("true")
	if s.has("additionalProperties") {
		extra = s.values["additionalProperties"]
	}
	listed = &object{values: map[string]json.RawMessage{}}
	if s.has("properties") {
		var ok bool
		if listed, ok = parseObject(s.values["properties"]); !ok {
			s.refuse("properties must be an object")
		}
	}
	for _, name := range required {
		switch {
		case listed.has(name):
			continue
		case string(extra) == "false":
			s.refuse("%q is required, but properties does not list it and additionalProperties forbids it", shorten(name))
		}
		listed.names, listed.values[name] = append(listed.names, name), extra
	}
	return listed, required, extra
}

func (s *schema) array() *node {
	least, most := s.counts("minItems", "maxItems")
	item := s.g.anyValue()
	if s.has("items") {
		item = s.node(s.values["items"], s.at+"/items")
	}
	return s.g.list(s.g.shared(item), least, most)
}

// counts reads a least and a most number; most is −1 where there is none.
func (s *schema) counts(low, high string) (least, most int) {
	count := func(keyword string, absent int) int {
		if !s.has(keyword) {
			return absent
		}
		v, err := strconv.ParseFloat(string(s.values[keyword]), 64)
		if err != nil || v != math.Trunc(v) || v < 0 {
			s.refuse("%s must be an integer, at least 0", keyword)
		}
		if v > MaxRepeat {
			s.refuse("%s is %v: at most %d is allowed", keyword, v, MaxRepeat)
		}
		return int(v)
	}
	least, most = count(low, 0), count(high, -1)
	if most >= 0 && most < least {
		s.refuse("%s is %d and %s is %d: no value satisfies both", low, least, high, most)
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

func (s *schema) text() *node {
	least, most := s.counts("minLength", "maxLength")
	if expression := s.expression(); expression != "" {
		return quoted(writer(stringRunes).within(expression))
	}
	return s.g.text(least, most)
}

// expression is what pattern or format says of a string; empty where neither is given.
func (s *schema) expression() string {
	var given []string
	for _, k := range kinds["string"].keywords {
		if s.has(k) {
			given = append(given, k)
		}
	}
	var expression, format string
	switch {
	case !s.has("pattern") && !s.has("format"):
		return ""
	case len(given) > 1:
		s.refuse("%s and %s together are not supported: put everything into one pattern", given[0], given[1])
	case s.has("pattern"):
		s.read("pattern", &expression, "a string")
	case json.Unmarshal(s.values["format"], &format) != nil || formats[format] == "":
		s.refuse("format %s is not supported: use pattern", shorten(string(s.values["format"])))
	default:
		expression = "^(?:" + formats[format] + ")$"
	}
	return expression
}

// integer reads the bounds.
func (s *schema) integer() *node {
	if !slices.ContainsFunc(kinds["integer"].keywords, s.has) {
		return pattern(integerText)
	}
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	for _, f := range kinds["integer"].keywords {
		if !s.has(f) {
			continue
		}
		v, err := strconv.ParseFloat(string(s.values[f]), 64)
		if err != nil || math.Abs(v) > 1e15 {
			return s.refuse("%s must be a number within ±1e15", f)
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
		return s.refuse("no integer is within the bounds")
	}
	return between(lo, hi)
}
