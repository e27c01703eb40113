package server

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// nearMisses are the names under which other code bases know our fields. Ignored like any unknown field, they would
// leave the client with an answer at a depth that it did not ask for.
var nearMisses = map[string]string{
	"loop": "loops", "loop_count": "loops", "loops_count": "loops", "n_loop": "loops", "n_loops": "loops",
	"nloops": "loops", "num_loop": "loops", "num_loops": "loops", "max_loops": "loops", "depth": "loops",
	"num_steps": "loops", "n_steps": "loops", "mean_recurrence": "loops", "num_recurrence": "loops",
	"num_recurrences": "loops", "recurrence": "loops", "recurrences": "loops", "recurrent_steps": "loops",
	"total_ut_steps": "loops", "ut_steps": "loops", "num_ut_steps": "loops",
	"return_loop": "return_loops", "loop_clamp": "loops_clamp", "clamp_loops": "loops_clamp",
	"min_loop": "min_loops", "exit_threshhold": "exit_threshold", "early_exit_threshold": "exit_threshold",
	"early_exit": "exit_policy",
}

// ourFields are those that no other server has, for messages about where they belong.
var ourFields = []string{"loops", "loops_clamp", "return_loops", "min_loops", "exit_policy", "exit_threshold", "loop_budget"}

// checkNames refuses near misses of our field names.
func checkNames(b body) error {
	for _, name := range slices.Sorted(maps.Keys(b)) {
		plain := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "-", "_")
		right, ok := nearMisses[plain]
		if !ok && plain != name && slices.Contains(ourFields, plain) {
			right, ok = plain, true
		}
		if ok {
			return badField(name, "unknown_field", "field %s is not known here: the field is %q", quote(name), right)
		}
	}
	// Clients have an option of this name, whose content they put at the top level. By hand it does nothing.
	if extra, err := b.object("extra_body"); err == nil {
		for _, name := range ourFields {
			if extra.has(name) {
				return badField("extra_body", "unknown_field",
					"extra_body is an option of client libraries, not a field of the body: put %s at the top level", name)
			}
		}
	}
	return nil
}

// depth is the outcome of loopsOf.
type depth struct {
	Requested int // 0: nobody asked, the model's default applies
	Applied   int
}

// loopsOf finds the request's loops: body, then alias, then X-Loops, then the model's default.
func loopsOf(b body, m *Model, alias int, header string) (depth, error) {
	clamp, err := b.boolean("loops_clamp", false)
	if err != nil {
		return depth{}, err
	}
	pick := func(raw json.RawMessage, param, what string) (depth, error) {
		v, ok := wholeNumber(raw)
		switch {
		case ok && v >= int64(m.Loops.Min) && v <= int64(m.Loops.Max):
			return depth{int(v), int(v)}, nil
		case ok && clamp && v >= -1<<31 && v < 1<<31:
			return depth{int(v), int(min(max(v, int64(m.Loops.Min)), int64(m.Loops.Max)))}, nil
		}
		return depth{}, badField(param, "loops_out_of_range", "%s is %s: model %s takes an integer from %d to %d%s",
			what, show(raw), m.Name, m.Loops.Min, m.Loops.Max, withoutQuotes(raw))
	}
	switch {
	case b.has("loops"):
		return pick(b["loops"], "loops", "loops")
	case alias != 0:
		return pick(json.RawMessage(strconv.Itoa(alias)), "model", "the loops of the model alias, after @,")
	case header != "":
		if _, ok := wholeNumber(json.RawMessage(header)); !ok {
			header = strconv.Quote(header)
		}
		return pick(json.RawMessage(header), "loops", "header X-Loops")
	}
	return depth{0, m.Loops.Default}, nil
}

func withoutQuotes(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if _, ok := wholeNumber(json.RawMessage(text)); ok {
			return ", without quotes"
		}
	}
	return ""
}
