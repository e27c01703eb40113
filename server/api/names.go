package api

import (
	"maps"
	"slices"
	"strings"
)

// nearMisses are the names under which other code bases know our fields, and others that are more than a slip away (see
// misspelt). Ignored like any unknown field, they would leave the client with an answer at a depth that it did not ask for.
var nearMisses = map[string]string{
	"loop": "loops", "loop_count": "loops", "loops_count": "loops", "n_loop": "loops", "n_loops": "loops",
	"nloops": "loops", "num_loop": "loops", "num_loops": "loops", "max_loops": "loops", "depth": "loops",
	"num_steps": "loops", "n_steps": "loops", "mean_recurrence": "loops", "num_recurrence": "loops",
	"num_recurrences": "loops", "recurrence": "loops", "recurrences": "loops", "recurrent_steps": "loops",
	"total_ut_steps": "loops", "ut_steps": "loops", "num_ut_steps": "loops",
	"loop_clamp": "loops_clamp", "clamp_loops": "loops_clamp",
	"loops_min": "min_loops", "early_exit_threshold": "exit_threshold",
	"early_exit": "exit_policy", "exit_criterion": "exit_policy", "criterion": "exit_policy", "exit_consecutive": "exit_agree",
	"exit_patience": "exit_agree", "loops_replay": "replay_loops",
	"loops_elastic": "elastic", "elastic_loops": "elastic", "elastic_depth": "elastic", "target_itl": "target_itl_ms",
	"max_loop_steps": "loop_budget", "loops_budget": "loop_budget", "lens": "return_lens", "loop_lens": "return_lens",
}

// ourFields are those that no other server has, for messages about where they belong.
var ourFields = []string{
	"loops", "loops_clamp", "return_loops", "min_loops", "exit_policy", "exit_threshold", "exit_agree", "loop_budget",
	"replay_loops", "draft_loops", "elastic", "target_itl_ms", "timeout_ms", "return_lens",
}

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
