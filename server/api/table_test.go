package api

import (
	"slices"
	"strings"
	"testing"
)

var routes = []Route{Completions, Chat, Embeddings, Tokenize, Detokenize, Bench, Curve}

// find is a route's row of a name.
func find(route Route, name string) *Field {
	for i := range table {
		if table[i].Name == name && table[i].Routes&route != 0 {
			return &table[i]
		}
	}
	return nil
}

// The table holds together: a route has one row of a name at most, and what rows name is there.
func TestTable(t *testing.T) {
	for _, route := range routes {
		var seen []string
		for i := range table {
			f := &table[i]
			if f.Routes&route == 0 {
				continue
			}
			if slices.Contains(seen, f.Name) {
				t.Errorf("two rows of %s on route %d", f.Name, route)
			}
			seen = append(seen, f.Name)
			named := []string{f.Needs}
			if f.Kind != Refused {
				named = append(named, f.Unless)
			}
			if object, _, ok := strings.Cut(f.Name, "."); ok {
				named = append(named, object)
				if !slices.Contains(seen, object) {
					t.Errorf("%s comes before its object", f.Name)
				}
			}
			if f.Needs != "" && !slices.Contains(seen, f.Needs) {
				t.Errorf("%s comes before %s, which it needs", f.Name, f.Needs)
			}
			for _, name := range named {
				if other := find(route, name); name != "" && (other == nil || other.Kind == Refused) {
					t.Errorf("%s on route %d names %s, which has no row there", f.Name, route, name)
				}
			}
		}
	}
	for i := range table {
		f := &table[i]
		switch {
		case f.Kind == Refused && f.Remedy == "":
			t.Errorf("%s is refused without a remedy", f.Name)
		case f.Kind == Number && f.Hi <= f.Lo:
			t.Errorf("%s is a number without bounds", f.Name)
		case f.Kind == DepthList && f.Most == nil:
			t.Errorf("%s is a list without a bound", f.Name)
		}
		for _, name := range f.Aliases {
			if name != strings.ToLower(name) || slices.ContainsFunc(table, func(o Field) bool { return o.Name == name }) {
				t.Errorf("alias %s of %s: it must be in lower case, and no field's name", name, f.Name)
			}
		}
	}
}
