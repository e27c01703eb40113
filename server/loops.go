package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
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

// checkNames refuses near misses of our field names.
func checkNames(b body) error {
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if right, ok := misspelt(name); ok {
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

// loopsOf finds the request's loops: the body's loops, then its reasoning_effort, then the alias, then X-Loops, then
// the model's default. It returns what was asked for, 0 for nothing, and what applies.
func loopsOf(b body, t target, header string) (requested, applied int, err error) {
	m := t.Model
	clamp, err := b.boolean("loops_clamp", false)
	if err != nil {
		return 0, 0, err
	}
	effort, err := effortOf(b, m)
	if err != nil {
		return 0, 0, err
	}
	pick := func(raw json.RawMessage, param, what string) (int, int, error) {
		v, ok := wholeNumber(raw)
		switch {
		case ok && v >= int64(m.Loops.Min) && v <= int64(m.Loops.Max):
			return int(v), int(v), nil
		case ok && clamp && v >= -1<<31 && v < 1<<31:
			return int(v), int(min(max(v, int64(m.Loops.Min)), int64(m.Loops.Max))), nil
		}
		return 0, 0, badField(param, "loops_out_of_range", "%s is %s: model %s takes an integer from %d to %d%s",
			what, show(raw), m.Name, m.Loops.Min, m.Loops.Max, withoutQuotes(raw))
	}
	switch {
	case b.has("loops"):
		return pick(b["loops"], "loops", "loops")
	case effort != 0:
		return effort, effort, nil
	case t.Alias != 0:
		return pick(json.RawMessage(strconv.Itoa(t.Alias)), "model", "the loops of the model alias, after @,")
	case header != "" && !t.Auto: // that alias brings a depth of its own
		if _, ok := wholeNumber(json.RawMessage(header)); !ok {
			header = strconv.Quote(header)
		}
		return pick(json.RawMessage(header), "loops", "header X-Loops")
	}
	return 0, m.Loops.Default, nil
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

// efforts are OpenAI's reasoning efforts, each as a place in the model's range of loops. A looped model has no other
// knob for how long it thinks about a token.
var efforts = []struct {
	name  string
	loops func(m *Model) int
}{
	{"none", func(m *Model) int { return m.Loops.Min }},
	{"minimal", func(m *Model) int { return m.Loops.Min }},
	{"low", func(m *Model) int { return (m.Loops.Min + m.Loops.Default) / 2 }},
	{"medium", func(m *Model) int { return m.Loops.Default }},
	{"high", func(m *Model) int { return m.trained() }},
	{"xhigh", func(m *Model) int { return m.Loops.Max }},
}

// trained is the depth that the model was trained at, where that is a depth above the default that it serves.
func (m *Model) trained() int { return min(max(m.Loops.Default, m.Loops.Trained), m.Loops.Max) }

// effortOf returns the loops of reasoning_effort, 0 where it is absent.
func effortOf(b body, m *Model) (int, error) {
	name, err := b.text("reasoning_effort")
	if err != nil || !b.has("reasoning_effort") {
		return 0, err
	}
	var names []string
	for _, e := range efforts {
		if e.name == name {
			return e.loops(m), nil
		}
		names = append(names, e.name)
	}
	return 0, badField("reasoning_effort", codeValue, "reasoning_effort is %s: it must be one of %s; or set loops, from %d to %d",
		quote(name), strings.Join(names, ", "), m.Loops.Min, m.Loops.Max)
}

// effortTable is what the efforts mean for a model, for GET /v1/models.
func effortTable(m *Model) map[string]int {
	out := map[string]int{}
	for _, e := range efforts {
		out[e.name] = e.loops(m)
	}
	return out
}

// replayOf reads replay_loops: the loops of each generated token, as an earlier answer's return_loops gave them.
func replayOf(b body, m *Model) ([]int, error) {
	if !b.has("replay_loops") {
		return nil, nil
	}
	const most = 1 << 20
	bad := func(format string, args ...any) ([]int, error) {
		return nil, badField("replay_loops", codeValue, "replay_loops"+format+fmt.Sprintf(": it must be a list of integers from %d to %d, one for each token",
			m.Loops.Min, m.Loops.Max), args...)
	}
	var list []json.RawMessage
	if b["replay_loops"][0] != '[' || json.Unmarshal(b["replay_loops"], &list) != nil {
		return bad(" is %s", show(b["replay_loops"]))
	}
	if len(list) == 0 || len(list) > most {
		return bad(" has %d entries", len(list))
	}
	out := make([]int, len(list))
	for i, raw := range list {
		v, ok := wholeNumber(raw)
		if !ok || v < int64(m.Loops.Min) || v > int64(m.Loops.Max) {
			return bad("[%d] is %s", i, show(raw))
		}
		out[i] = int(v)
	}
	return out, nil
}
