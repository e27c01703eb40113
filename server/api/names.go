package api

import (
	"fmt"
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

// knows says whether the route has a row for a field, or for what is in it.
func (r Route) knows(name string) bool {
	return slices.ContainsFunc(table, func(f Field) bool {
		whole, _, _ := strings.Cut(f.Name, ".")
		return f.Routes&r != 0 && whole == name
	})
}

// checkKnown refuses fields that the route has no row for. Only benchmarks are so strict: no client of another server
// sends one here, and a misspelt field would measure something else.
func checkKnown(b Body, route Route) error {
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if route.knows(name) {
			continue
		}
		var known []string
		for i := range table {
			if table[i].Routes&route != 0 {
				known = append(known, table[i].Name)
			}
		}
		return Bad(name, "unknown_field", "%s is not a field of a benchmark: the fields are %s", Quote(name), strings.Join(known, ", "))
	}
	return nil
}

// idle are fields of other servers' requests that ask nothing of an answer, or nothing without one that is refused.
var idle = []string{
	"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", // OpenAI
	"request_id", "length_penalty", "early_stopping", // vLLM
	"cache_prompt", "id_slot", "n_keep", "min_keep", "return_progress", "reasoning_format", "timings_per_token", "repeat_last_n", "mirostat_tau", // llama.cpp
	"mirostat_eta", "dynatemp_exponent", "xtc_threshold", "dry_base", "dry_allowed_length", "dry_penalty_last_n",
}

// Warnings names the fields of the body that are not known: they have no effect.
func (v *Values) Warnings() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(v.body)) {
		if v.body.Has(name) && !v.route.knows(name) && !slices.Contains(idle, name) {
			names = append(names, Quote(name))
		}
	}
	const most = 8
	switch n := len(names); {
	case n == 0:
		return nil
	case n > most:
		names = append(names[:most], fmt.Sprintf("and %d more", n-most))
	}
	return []string{"fields that are not known here have no effect: " + strings.Join(names, ", ")}
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
