package constrain

import (
	"fmt"
	"slices"
	"unicode"
)

// quotes, in place of a mark, is how JSON writes strings. Before a mark a string stands as it is.
const quotes = ""

// values are the values that all schemas take.
func (d *document) values(mark string, all ...*value) *node {
	all = slices.DeleteFunc(slices.Clone(all), func(v *value) bool { return v.is("true") })
	if len(all) == 0 {
		return d.g.any(mark)
	}
	shapes := d.expand(all)
	write := func() *node {
		kids := make([]*node, len(shapes))
		for i, s := range shapes {
			kids[i] = d.shape(s, mark)
		}
		return alt(kids...)
	}
	if slices.ContainsFunc(shapes, func(s *shape) bool { return s.enum == nil && s.types&(arrayType|objectType) != 0 }) {
		return d.g.rule(d.scope+"values "+mark+" "+d.key(all), write)
	}
	return write()
}

func (g *grammar) any(mark string) *node {
	if mark != quotes {
		return g.before(mark)
	}
	return g.anyValue()
}

// mentioned are the types that the shape's keywords speak of.
func (s *shape) mentioned() (of types) {
	for _, p := range s.parts {
		for _, name := range p.names {
			of |= keywords[name]
		}
	}
	return of
}

// shape is the values of a shape. Where no type is given, its keywords say which it is.
func (d *document) shape(s *shape, mark string) *node {
	if s.enum != nil {
		var texts []string
		for _, v := range s.enum {
			if !d.admits(s, v) {
				continue
			}
			text := d.g.words(v.constant())
			if mark != quotes && v.raw[0] == '"' {
				text = v.text()
			}
			texts = append(texts, text)
		}
		if len(texts) == 0 {
			return never
		}
		return literals(texts)
	}
	speak := s.mentioned()
	if !s.typed && speak != 0 {
		s.types &= speak
	}
	if out := s.excluded(arrayType | objectType); s.types&(arrayType|objectType) != 0 && len(out) > 0 {
		return s.parts[0].refuse("a list or an object that must not come, as not, if and branches of oneOf that overlap ask for, is not supported: use anyOf")
	}
	if s.types == anyType && speak == 0 && !s.excludes() {
		return d.g.any(mark)
	}
	var kids []*node
	for _, k := range []struct {
		of     types
		values func() *node
	}{
		{objectType, func() *node { return d.object(s) }},
		{arrayType, func() *node { return d.array(s) }},
		{stringType, func() *node { return d.text(s, mark) }},
		{numberTypes, func() *node { return s.number(d.g) }},
		{booleanType, func() *node { return d.words(s, "true", "false") }},
		{nullType, func() *node { return d.words(s, "null") }},
	} {
		if s.types&k.of != 0 {
			kids = append(kids, k.values())
		}
	}
	return alt(kids...)
}

// excludes says whether some values are named that are not of the shape.
func (s *shape) excludes() bool {
	return slices.ContainsFunc(s.parts, func(p *step) bool { return p.has(notEnum) })
}

// excluded are those values of a type.
func (s *shape) excluded(of types) (values []*value) {
	for _, p := range s.parts {
		if p.has(notEnum) {
			for _, v := range p.fields[notEnum].items {
				if of == anyType || v.types()&of != 0 {
					values = append(values, v)
				}
			}
		}
	}
	return values
}

// types is the type of a value.
func (v *value) types() types {
	of := typesNamed[KindOf(v.raw)]
	if r := v.rational(); of == numberTypes && r != nil {
		of = fractionType
		if r.IsInt() {
			of = integerType
		}
	}
	return of
}

func (d *document) words(s *shape, words ...string) *node {
	var kids []*node
	for _, w := range words {
		if !slices.ContainsFunc(s.excluded(booleanType|nullType), func(v *value) bool { return v.is(w) }) {
			kids = append(kids, literal(d.g.words(w)))
		}
	}
	return alt(kids...)
}

// count reads a keyword that is a number of things.
func (v *value) count(keyword string, absent int) int {
	if !v.has(keyword) {
		return absent
	}
	r := v.number(keyword)
	if !r.IsInt() || r.Sign() < 0 {
		v.refuse("%s must be an integer, at least 0", keyword)
	}
	if !r.Num().IsInt64() || r.Num().Int64() > maxCount {
		return maxCount
	}
	return int(r.Num().Int64())
}

// counts are a least and a most number of things, of which so many can be written; most is −1 where there is none.
func (s *shape) counts(low, high string, limit int) (least, most int) {
	most = -1
	for _, p := range s.parts {
		least = max(least, p.count(low, 0))
		if least > limit {
			p.refuse("%s is %d: at most %d is allowed", low, least, limit)
		}
		if n := min(p.count(high, maxCount+1), limit); p.has(high) && (most < 0 || n < most) {
			most = n
		}
	}
	return least, most
}

// text is the strings of a shape.
func (d *document) text(s *shape, mark string) *node {
	least, most := s.counts("minLength", "maxLength", MaxLength)
	if most >= 0 && most < least {
		return never
	}
	wants := s.wants()
	if mark == quotes && len(wants) == 0 {
		return d.g.text(least, most)
	}
	w := writer(stringRunes)
	if mark != quotes { // a string that is restricted has no character that the mark begins with
		w = func(ranges []rune) *node { return runes(except(ranges, []rune(mark)[0])) }
	}
	var n *node
	switch {
	case len(wants) == 0 && least == 0 && most < 0:
		return d.g.before(mark)
	case len(wants) == 0:
		n = d.g.times(d.g.shared(w([]rune{0, unicode.MaxRune})), least, most)
	default:
		if l := d.g.language(wants...); l != nil {
			n = d.g.rule(fmt.Sprint("strings ", mark, least, most, wants), func() *node { return l.node(d.g, w, least, most) })
		} else if attempt(func() { n = w.within(wants[0].expression) }) != nil || len(wants) > 1 || least > 0 || most >= 0 {
			return s.parts[0].refuse("the pattern %s is too large together with formats, lengths, lookaheads or other patterns: make it simpler, or leave those out", shorten(wants[0].expression))
		}
	}
	if mark == quotes {
		n = quoted(n)
	}
	return n
}

// wants are what patterns, formats and excluded values say of a shape's strings. A format that is not known may stand
// beside a pattern, which says what it is.
func (s *shape) wants() (wants []want) {
	explained := slices.ContainsFunc(s.parts, func(p *step) bool { return p.has("pattern") })
	for _, p := range s.parts {
		var expression, format string
		if p.read("pattern", &expression, "a string"); p.has("pattern") {
			wants = append(wants, want{expression, false})
		}
		if p.read(notPattern, &expression, "a string"); p.has(notPattern) {
			wants = append(wants, want{expression, true})
		}
		if p.read("format", &format, "a string"); p.has("format") && !slices.Contains(formatsOfAnyText, format) {
			if formats[format] != "" {
				wants = append(wants, want{"^(?:" + formats[format] + ")$", false})
			} else if !explained {
				p.refuse("format %s is not supported: use pattern", shorten(string(p.fields["format"].raw)))
			}
		}
	}
	for _, v := range s.excluded(stringType) {
		wants = append(wants, exactly(true, v.text()))
	}
	return wants
}

// array is the lists of a shape.
func (d *document) array(s *shape) *node {
	least, most := s.counts("minItems", "maxItems", MaxRepeat)
	var has *value // what some items must be
	leastHas, mostHas, listed, unique := 0, -1, 0, false
	for _, p := range s.parts {
		listed = max(listed, len(p.prefix()))
		if c := p.fields["contains"]; c != nil {
			if has != nil {
				p.unsupported("contains")
			}
			has, leastHas, mostHas = c, p.count("minContains", 1), p.count("maxContains", -1)
			if leastHas > MaxRepeat {
				p.refuse("minContains is %d: at most %d is allowed", leastHas, MaxRepeat)
			}
		}
		unique = unique || p.unique()
	}
	if unique {
		if listed > 0 || has != nil {
			return s.parts[0].refuse("uniqueItems together with prefixItems or contains is not supported: leave it out, and check the answer")
		}
		return d.differing(s, least, most)
	}
	if listed == 0 && least == 0 && most < 0 && has == nil {
		return d.g.list(d.g.shared(d.values(quotes, s.item(0)...)), 0, -1)
	}
	// A state for each number of items, and of those that has takes.
	unrolled, kinds := max(listed, least, most), max(leastHas, mostHas)+1
	if most < 0 {
		unrolled = max(unrolled, 1)
	}
	states := (unrolled + 1) * kinds
	if states > maxGraph {
		return s.parts[0].refuse("minItems, maxItems, minContains and maxContains need more than %d states: use smaller ones", maxGraph)
	}
	n := &node{op: opGraph, edges: make([][]edgeTo, states), ends: make([]bool, states)}
	var plain, right *node
	for i := range unrolled + 1 {
		if i <= listed || i == 1 { // from there on all are alike
			item := s.item(i)
			if right = never; has != nil {
				right = d.g.shared(d.values(quotes, append(slices.Clone(item), has)...))
			}
			if mostHas >= 0 {
				item = append(slices.Clone(item), has.made("not", has))
			}
			plain = d.g.shared(d.values(quotes, item...))
			if i > 0 {
				plain, right = seq(d.g.comma(), plain), seq(d.g.comma(), right)
			}
		}
		for k := range kinds {
			at, to := i*kinds+k, min(i+1, unrolled)*kinds
			n.ends[at] = i >= least && k >= leastHas
			if i == unrolled && most >= 0 {
				continue
			}
			n.edges[at] = append(n.edges[at], edgeTo{plain, to + k})
			if has != nil && (mostHas < 0 || k < mostHas) {
				n.edges[at] = append(n.edges[at], edgeTo{right, to + min(k+1, kinds-1)})
			}
		}
	}
	return d.g.brackets("[", n, "]")
}

// unique says whether a list's items must differ.
func (v *value) unique() bool { return v.has("uniqueItems") && !v.fields["uniqueItems"].is("false") }

// prefix are the schemas of the first items, one by one.
func (v *value) prefix() []*value {
	if v.has("prefixItems") {
		return v.list("prefixItems", "schemas")
	}
	if items := v.fields["items"]; items != nil {
		return items.items
	}
	return nil
}

// item are the schemas of an item.
func (s *shape) item(i int) (all []*value) {
	for _, p := range s.parts {
		prefix, rest := p.prefix(), p.fields["items"]
		if rest != nil && rest.items != nil {
			rest = p.fields["additionalItems"]
		}
		switch u := p.fields["unevaluatedItems"]; {
		case i < len(prefix):
			all = append(all, prefix[i])
		case rest != nil:
			all = append(all, rest)
		case u != nil && !slices.ContainsFunc(s.parts, func(q *step) bool { return q.below(p) && q.evaluates(i) }):
			all = append(all, u)
		}
	}
	return all
}

// evaluates says whether a schema says what an item is.
func (s *step) evaluates(i int) bool {
	items := s.fields["items"]
	return i < len(s.prefix()) || items != nil && (items.items == nil || s.has("additionalItems")) || s.has("unevaluatedItems")
}

// admits says whether a value is of a shape.
func (d *document) admits(s *shape, v *value) bool {
	out := s.excluded(anyType)
	d.compare(v, len(out))
	switch of := v.types(); {
	case s.types&of == 0, slices.ContainsFunc(out, v.equal):
		return false
	case of&numberTypes != 0:
		r := v.rational()
		return r != nil && s.numbers().has(r)
	case of == stringType:
		least, most := s.counts("minLength", "maxLength", MaxLength)
		n := len([]rune(v.text()))
		wants := s.wants()
		l := &language{}
		if len(wants) > 0 {
			l = d.g.language(wants...)
		}
		return least <= n && (most < 0 || n <= most) && (len(wants) == 0 || l != nil && l.takes(v.text()))
	case of == arrayType:
		least, most := s.counts("minItems", "maxItems", MaxRepeat)
		for i, item := range v.items {
			if !d.holds(item, s.item(i)...) {
				return false
			}
		}
		for _, p := range s.parts {
			if p.unique() && len(among(v.items)) < len(v.items) {
				return false
			}
			c, has := p.fields["contains"], 0
			for _, item := range v.items {
				if c != nil && d.holds(item, c) {
					has++
				}
			}
			if c != nil && (has < p.count("minContains", 1) || has > p.count("maxContains", maxCount)) {
				return false
			}
		}
		return least <= len(v.items) && (most < 0 || len(v.items) <= most)
	case of == objectType:
		_, required := d.properties(s)
		least, most := s.counts("minProperties", "maxProperties", MaxRepeat)
		if slices.ContainsFunc(required, func(name string) bool { return !v.has(name) }) {
			return false
		}
		for _, name := range v.names {
			if !d.holds(v.fields[name], d.property(s, name)...) {
				return false
			}
		}
		return least <= len(v.names) && (most < 0 || len(v.names) <= most)
	}
	return true
}

// holds says whether a value is of all schemas.
func (d *document) holds(v *value, all ...*value) bool {
	return slices.ContainsFunc(d.expand(all), func(s *shape) bool {
		d.compare(v, 10+len(s.enum))
		return (s.enum == nil || slices.ContainsFunc(s.enum, v.equal)) && d.admits(s, v)
	})
}
