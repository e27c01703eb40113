package constrain

import "encoding/json"

// choices are the alternatives that a schema leaves.
func (d *document) choices(v *value) (out []group) {
	add := func(options ...[]*value) { out = append(out, group{options: options}) }
	for _, name := range v.names {
		f := v.fields[name]
		switch name {
		case "anyOf", "oneOf":
			branches := v.list(name, "schemas")
			if len(branches) > maxAlternatives {
				v.refuse("%s has %d schemas: at most %d are allowed", name, len(branches), maxAlternatives)
			}
			options := make([][]*value, len(branches))
			for i, b := range branches {
				options[i] = []*value{b}
				for j, c := range branches {
					if i != j && name == "oneOf" && !d.loose && !d.disjoint(b, c) {
						options[i] = append(options[i], v.made("not", c))
					}
				}
			}
			add(options...)
		case "not":
			out = append(out, group{options: d.negate(f), negated: true})
		case "if":
			yes, no := []*value{f}, []*value{v.made("not", f)}
			if v.has("then") {
				yes = append(yes, v.fields["then"])
			}
			if v.has("else") {
				no = append(no, v.fields["else"])
			}
			if len(yes)+len(no) > 2 {
				add(yes, no)
			}
		case "dependentRequired", "dependentSchemas", "dependencies":
			if f.fields == nil {
				v.refuse("%s must be an object", name)
			}
			for _, p := range f.names {
				need := []*value{v.made("type", "object", "required", []string{p}), f.fields[p]}
				if f.fields[p].items != nil {
					need[1] = v.made("required", f.fields[p])
				}
				add([]*value{v.made("properties", v.made(p, false))}, need)
			}
		}
	}
	return out
}

// made is a schema, or the properties of one, that stands in v's place: names, each followed by what it is.
func (v *value) made(pairs ...any) *value {
	m := &value{fields: map[string]*value{}, parent: v.parent, name: v.name}
	for i := 0; i < len(pairs); i += 2 {
		name := pairs[i].(string)
		f, ok := pairs[i+1].(*value)
		if !ok {
			text, _ := json.Marshal(pairs[i+1]) // texts, numbers and lists of them
			f, _ = parseJSON(text)
		}
		m.names = append(m.names, name)
		m.fields[name] = f
	}
	return m
}

// disjoint says whether no value is of both schemas.
func (d *document) disjoint(a, b *value) bool {
	key := [2]*value{a, b}
	apart, ok := d.apart[key]
	if !ok {
		if apart = d.tagged(a, b); !apart {
			d.spend(a, maxMerged/400)
			g := newGrammar()
			apart = (&document{g: g, root: d.root, merging: d.merging, loose: true}).none(a, b)
			d.g.spend(g.work)
		}
		d.apart[key], d.apart[[2]*value{b, a}] = apart, apart
	}
	return apart
}

// tagged says whether a property that both schemas require has other values in the one than in the other.
func (d *document) tagged(a, b *value) (apart bool) {
	of := d.tags(b)
	for name, values := range d.tags(a) { // in any order, so that all are counted
		d.compare(a, 1+len(values))
		shared := of[name] == nil
		for v := range values {
			shared = shared || of[name][v]
		}
		apart = apart || !shared
	}
	return apart
}

// tags are the values of the properties that are required and are one of some.
func (d *document) tags(v *value) map[string]map[string]bool {
	if known, ok := d.tagsOf[v]; ok {
		return known
	}
	out := map[string]map[string]bool{}
	d.tagsOf[v] = out
	if v.has("$ref") {
		d.tagsOf[v] = d.tags(d.reference(v))
		return d.tagsOf[v]
	}
	required, properties := v.fields["required"], v.fields["properties"]
	if required == nil || properties == nil || !v.has("type") || v.typeNames() != objectType {
		return out
	}
	for _, name := range required.items {
		p := properties.fields[name.text()]
		if p == nil {
			continue
		}
		if e := p.fields["enum"]; e != nil {
			out[name.text()] = among(e.items)
		} else if c := p.fields["const"]; c != nil {
			out[name.text()] = among([]*value{c})
		}
	}
	return out
}

// none says whether no text is of all schemas.
func (d *document) none(all ...*value) bool {
	var every [256]bool
	for i := range every {
		every[i] = true
	}
	none := false
	if attempt(func() {
		d.g.start = d.values(quotes, all...)
		p := write(d.g)
		p.settle(every[:])
		none = p.need[p.start] > MaxDepth
	}) != nil {
		return false
	}
	return none
}
