package constrain

import (
	"slices"
	"strings"
)

// negate are the alternatives of what is not of a schema.
func (d *document) negate(v *value) [][]*value {
	out, ok := d.negated[v]
	if !ok {
		out = d.opposite(v)
		d.negated[v] = out
	}
	return out
}

func (d *document) opposite(v *value) (out [][]*value) {
	switch {
	case v.is("true"):
		return nil
	case v.is("false"):
		return [][]*value{{v.made()}}
	case v.fields == nil:
		v.refuse("it must be an object, or true or false")
	}
	add := func(pairs ...any) { out = append(out, []*value{v.made(pairs...)}) }
	typed := func(kind, keyword string, value any) { add("type", kind, keyword, value) }
	object := func(name string, of *value) {
		add("type", "object", "required", []string{name}, "properties", v.made(name, of))
	}
	for _, name := range v.names {
		f := v.fields[name]
		switch name {
		case "type":
			rest := []string{}
			for t, of := range typesNamed {
				if of&v.typeNames() == 0 && t != "integer" {
					rest = append(rest, t)
				}
			}
			slices.Sort(rest)
			if len(rest) > 0 {
				add("type", rest)
			}
		case "enum":
			add(notEnum, f)
		case "const":
			add(notEnum, &value{items: []*value{f}})
		case "$ref":
			add("not", d.reference(v))
		case "allOf":
			for _, sub := range v.list(name, "schemas") {
				add("not", sub)
			}
		case "anyOf":
			var all []*value
			for _, sub := range v.list(name, "schemas") {
				all = append(all, v.made("not", sub))
			}
			out = append(out, all)
		case "not":
			out = append(out, []*value{f})
		case "required":
			for _, of := range f.items {
				add("type", "object", "properties", v.made(of.text(), false))
			}
		case "properties":
			for _, of := range f.names {
				object(of, v.made("not", f.fields[of]))
			}
		case "pattern":
			typed("string", notPattern, f)
		case "minimum", "maximum":
			typed("number", "exclusive"+strings.ToUpper(opposed(name)[:1])+opposed(name)[1:], f)
		case "exclusiveMinimum", "exclusiveMaximum":
			typed("number", opposed(strings.ToLower(name[9:10])+name[10:]), f)
		case "minLength", "minItems", "minProperties", "maxLength", "maxItems", "maxProperties":
			kind := map[string]string{"Le": "string", "It": "array", "Pr": "object"}[name[3:5]]
			if n := v.count(name, 0); name[:3] == "max" {
				typed(kind, opposed(name), n+1)
			} else if n > 0 {
				typed(kind, opposed(name), n-1)
			}
		default:
			nothing := f.is("true") && name != "contains" // says the keyword then, or where uniqueItems is false
			if name == "uniqueItems" {
				nothing = !v.unique()
			}
			if !nothing && !slices.Contains(annotations, name) && !strings.HasPrefix(name, "x-") {
				v.refuse("what is not of %q cannot be written, as not, if and branches of oneOf that overlap ask for: use anyOf, or make branches differ in type or in one const property", name)
			}
		}
	}
	return out
}

// opposed is the keyword at the other end of a range.
func opposed(name string) string {
	if strings.HasPrefix(name, "min") {
		return "max" + name[3:]
	}
	return "min" + name[3:]
}
