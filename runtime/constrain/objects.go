package constrain

import "slices"

// object is the objects of a shape: the listed properties in their order, those that are not required left out or not, and
// behind them others, where the schema says something of them or lists none.
func (d *document) object(s *shape) *node {
	names, required := d.properties(s)
	least, most := s.counts("minProperties", "maxProperties", MaxRepeat)
	kids := make([]member, len(names))
	for i, name := range names {
		kids[i] = member{seq(literal(quote(name)), colon(), d.values(quotes, d.property(s, name)...)), !slices.Contains(required, name)}
	}
	others := d.others(s, names)
	if others != nil && least > len(names)+1 {
		return s.parts[0].refuse("minProperties is %d and only %d properties are listed: list as many", least, len(names))
	}
	return d.g.brackets("{", members(kids, others, d.g.comma(), least, most), "}")
}

// properties are the names that are listed, and those that are required.
func (d *document) properties(s *shape) (names, required []string) {
	add := func(of []string) {
		for _, name := range of {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, p := range s.parts {
		if o := p.fields["properties"]; o != nil {
			if o.fields == nil {
				p.refuse("properties must be an object")
			}
			add(o.names)
		}
	}
	for _, p := range s.parts {
		var of []string
		p.read("required", &of, "a list of names")
		required = append(required, of...)
		add(of)
	}
	for _, p := range s.parts {
		if v := p.fields["propertyNames"]; v != nil {
			for _, n := range d.expand([]*value{v}) {
				for _, name := range n.enum {
					add([]string{name.text()})
				}
			}
		}
	}
	return names, required
}

// property are the schemas of a property; the names of some are not allowed.
func (d *document) property(s *shape, name string) (all []*value) {
	text := &value{raw: []byte(quote(name))}
	for _, p := range s.parts {
		if v := p.fields["propertyNames"]; v != nil && !d.holds(text, v) {
			all = append(all, p.made("not", p.made()))
		}
	}
	return append(all, s.member(func(p *step) (of []*value) {
		if o := p.fields["properties"]; o != nil && o.has(name) {
			of = append(of, o.fields[name])
		}
		for _, e := range p.patterns() {
			if l := d.g.language(want{e, false}); l == nil || l.takes(name) {
				of = append(of, p.fields["patternProperties"].fields[e])
			}
		}
		return of
	})...)
}

// patterns are the expressions of patternProperties.
func (s *step) patterns() []string {
	o := s.fields["patternProperties"]
	if o == nil {
		return nil
	}
	if o.fields == nil {
		s.refuse("patternProperties must be an object")
	}
	return o.names
}

// member are the schemas of a property of which each part's own keywords say what own returns.
func (s *shape) member(own func(*step) []*value) (all []*value) {
	for _, p := range s.parts {
		of := own(p)
		extra, rest := p.fields["additionalProperties"], p.fields["unevaluatedProperties"]
		switch {
		case len(of) > 0:
			all = append(all, of...)
		case extra != nil:
			all = append(all, extra)
		case rest != nil && !slices.ContainsFunc(s.parts, func(q *step) bool {
			return q.below(p) && (len(own(q)) > 0 || q.has("additionalProperties") || q.has("unevaluatedProperties"))
		}):
			all = append(all, rest)
		}
	}
	return all
}

// others are the properties beside those with names; nil where none may come.
func (d *document) others(s *shape, names []string) *node {
	var patterns []string
	open := false // to names that fit no pattern
	for _, p := range s.parts {
		open = open || p.has("additionalProperties") || p.has("propertyNames") || p.has("unevaluatedProperties")
		patterns = append(patterns, p.patterns()...)
	}
	open = open || len(names)+len(patterns) == 0
	slices.Sort(patterns)
	patterns = slices.Compact(patterns)
	if len(patterns) > maxPatterns {
		s.parts[0].refuse("patternProperties has %d patterns that may come together: at most %d are allowed", len(patterns), maxPatterns)
	}
	var kids []*node
	for _, key := range d.names(s) {
		for set := range 1 << len(patterns) { // those that a name fits
			if set == 0 && !open {
				continue
			}
			wants := slices.Clone(key.wants)
			for i, e := range patterns {
				wants = append(wants, want{e, set>>i&1 == 0})
			}
			all := s.member(func(p *step) (of []*value) {
				for _, e := range p.patterns() {
					if i, _ := slices.BinarySearch(patterns, e); set>>i&1 == 1 {
						of = append(of, p.fields["patternProperties"].fields[e])
					}
				}
				return of
			})
			if slices.ContainsFunc(all, func(v *value) bool { return v.is("false") }) {
				continue
			}
			if len(names) > 0 {
				wants = append(wants, exactly(true, names...))
			}
			name := d.g.text(key.least, key.most)
			if len(wants) > 0 {
				l := d.g.language(wants...)
				if l == nil {
					return s.parts[0].refuse("the names of properties that may come beside those listed are too many to tell apart: use simpler patterns, or additionalProperties false")
				}
				if len(l.next) == 0 {
					continue
				}
				name = quoted(l.node(d.g, stringRunes, key.least, key.most))
			}
			kids = append(kids, seq(name, colon(), d.g.shared(d.values(quotes, all...))))
		}
	}
	if len(kids) == 0 {
		return nil
	}
	return d.g.shared(alt(kids...))
}

// names is what propertyNames says of the names that are not listed.
type names struct {
	wants       []want
	least, most int
}

func (d *document) names(s *shape) (out []names) {
	var all []*value
	for _, p := range s.parts {
		if v := p.fields["propertyNames"]; v != nil && !v.is("true") {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return []names{{nil, 0, -1}}
	}
	for _, n := range d.expand(all) {
		if n.enum == nil && n.types&stringType != 0 { // an enum's are listed
			least, most := n.counts("minLength", "maxLength", MaxLength)
			if most < 0 || most >= least {
				out = append(out, names{n.wants(), least, most})
			}
		}
	}
	return out
}

// member is one of an object's.
type member struct {
	text     *node
	optional bool
}

// members are least to most members: kids in their order, and then any number of others (nil: none), which may be of one
// name. Most −1: no bound.
func members(kids []member, others, between *node, least, most int) *node {
	top := max(1, least, most) // more than least are one number where there is no most
	n := &node{op: opGraph}
	state := func() int {
		n.edges, n.ends = append(n.edges, nil), append(n.ends, false)
		return len(n.edges) - 1
	}
	link := func(from, to int, label *node) { n.edges[from] = append(n.edges[from], edgeTo{label, to}) }
	// One state for each number of members that came before the i-th, and one behind the separator.
	row := func() (states []int) {
		for range top + 1 {
			if len(n.edges) > MaxProgram {
				refuse("the schema: objects need more than %d states: use fewer properties, or smaller minProperties and maxProperties", MaxProgram)
			}
			states = append(states, state())
		}
		return states
	}
	write := func(at, next []int, k member) {
		for c := range at {
			if k.optional {
				link(at[c], next[c], empty)
			}
			if most >= 0 && c >= most {
				continue
			}
			to := next[min(c+1, top)]
			if c == 0 {
				link(at[c], to, k.text)
				continue
			}
			behind := state()
			link(at[c], behind, between)
			link(behind, to, k.text)
		}
	}
	at := row()
	for _, k := range kids {
		next := row()
		write(at, next, k)
		at = next
	}
	if others != nil {
		next := row()
		write(at, next, member{others, true})
		at = next
		for c := 1; c <= top; c++ { // names may come twice: only one is sure to count
			behind := state()
			to := c
			if most >= 0 {
				to = c + 1
			}
			if to <= top && (most < 0 || least <= len(kids)+1 && c >= least) {
				link(at[c], behind, between)
				link(behind, at[to], others)
			}
		}
	}
	for c, i := range at {
		n.ends[i] = c >= least && (most < 0 || c <= most)
	}
	return n
}
