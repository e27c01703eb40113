package api

import (
	"maps"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/internal/spelling"
)

// ourFields are those that no other server has, and nearMisses the names under which other code bases know them. Ignored like any
// unknown field, they would leave the client with an answer at a depth that it did not ask for.
var ourFields, nearMisses = func() (ours []string, others map[string]string) {
	others = map[string]string{}
	for _, f := range table {
		if f.Ours {
			ours = append(ours, f.Name)
		}
		for _, name := range f.Aliases {
			others[name] = f.Name
		}
	}
	return ours, others
}()

// checkNames refuses near misses of our field names.
func checkNames(b Body) error {
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if right, ok := misspelt(name); ok {
			return Bad(name, "unknown_field", "field %s is not known here: the field is %q", Quote(name), right)
		}
	}
	// Clients have an option of this name, whose content they put at the top level. By hand it does nothing.
	if extra, err := b.Object("extra_body"); err == nil {
		for _, name := range ourFields {
			if extra.Has(name) {
				return Bad("extra_body", "unknown_field",
					"extra_body is an option of client libraries, not a field of the body: put %s at the top level", name)
			}
		}
	}
	return nil
}

// checkKnown refuses fields that the route has no row for. Only benchmarks are so strict: no client of another server
// sends one here, and a misspelt field would measure something else.
func checkKnown(b Body, route Route) error {
	var known []string
	for i := range table {
		if table[i].Routes&route != 0 {
			known = append(known, table[i].Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if !slices.Contains(known, name) {
			return Bad(name, "unknown_field", "%s is not a field of a benchmark: the fields are %s", Quote(name), strings.Join(known, ", "))
		}
	}
	return nil
}

// misspelt finds which of our fields a name was meant to be: another program's word for it, another way of writing it,
// or a slip of the keyboard.
func misspelt(name string) (right string, ok bool) {
	if slices.Contains(ourFields, name) {
		return "", false
	}
	plain := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "-", "_")
	if right, ok = nearMisses[plain]; ok {
		return right, true
	}
	return spelling.Near(plain, ourFields)
}
