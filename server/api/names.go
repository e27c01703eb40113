package api

import (
	"maps"
	"slices"
	"strings"
)

// nearMisses are the names under which other code bases know our fields. Ignored like any unknown field, they would leave
// the client with an answer at a depth that it did not ask for.
var nearMisses = func() map[string]string {
	out := map[string]string{}
	for i := range table {
		for _, name := range table[i].Aliases {
			out[name] = table[i].Name
		}
	}
	return out
}()

// ourFields are those that no other server has.
var ourFields = func() []string {
	var out []string
	for i := range table {
		if table[i].Ours {
			out = append(out, table[i].Name)
		}
	}
	return out
}()

// CheckNames refuses near misses of our field names.
func CheckNames(b Body) error {
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
	for _, field := range ourFields {
		slips := 2
		if len(field) < 9 { // two slips away from loops is tools
			slips = 1
		}
		if edits(plain, field, slips) <= slips {
			return field, true
		}
	}
	return "", false
}

// edits counts the letters to insert, to leave out, to replace and to swap with their neighbour that make one text of
// another. What is more than most may be any number above it.
func edits(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := last[j-1]
			if a[i-1] != b[j-1] {
				same++
			}
			row[j] = min(same, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
