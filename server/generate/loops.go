package generate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/server/api"
)

// loopsOf finds the request's loops: the body's loops, then its reasoning_effort, then the alias, then X-Loops, then
// the model's default. It returns what was asked for, 0 for nothing, and what applies.
func loopsOf(b api.Body, t Target, header string) (requested, applied int, err error) {
	m := t.Model
	clamp, err := b.Boolean("loops_clamp", false)
	if err != nil {
		return 0, 0, err
	}
	effort, err := effortOf(b, m)
	if err != nil {
		return 0, 0, err
	}
	pick := func(raw json.RawMessage, param, what string) (int, int, error) {
		v, ok := api.Integer(raw)
		switch {
		case ok && v >= int64(m.Loops.Min) && v <= int64(m.Loops.Max):
			return int(v), int(v), nil
		case ok && clamp && v >= -1<<31 && v < 1<<31:
			return int(v), int(min(max(v, int64(m.Loops.Min)), int64(m.Loops.Max))), nil
		}
		return 0, 0, api.Bad(param, "loops_out_of_range", "%s is %s: model %s takes an integer from %d to %d%s",
			what, api.Show(raw), m.Name, m.Loops.Min, m.Loops.Max, withoutQuotes(raw))
	}
	switch {
	case b.Has("loops"):
		return pick(b["loops"], "loops", "loops")
	case effort != 0:
		return effort, effort, nil
	case t.Alias != 0:
		return pick(json.RawMessage(strconv.Itoa(t.Alias)), "model", "the loops of the model alias, after @,")
	case header != "" && !t.Auto: // that alias brings a depth of its own
		if _, ok := api.Integer(json.RawMessage(header)); !ok {
			header = strconv.Quote(header)
		}
		return pick(json.RawMessage(header), "loops", "header X-Loops")
	}
	return 0, m.Loops.Default, nil
}

func withoutQuotes(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if _, ok := api.Integer(json.RawMessage(text)); ok {
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
	{"high", func(m *Model) int { return m.TrainedLoops() }},
	{"xhigh", func(m *Model) int { return m.Loops.Max }},
}

// effortOf returns the loops of reasoning_effort, 0 where it is absent.
func effortOf(b api.Body, m *Model) (int, error) {
	name, err := b.Text("reasoning_effort")
	if err != nil || !b.Has("reasoning_effort") {
		return 0, err
	}
	var names []string
	for _, e := range efforts {
		if e.name == name {
			return e.loops(m), nil
		}
		names = append(names, e.name)
	}
	return 0, api.Bad("reasoning_effort", api.CodeValue, "reasoning_effort is %s: it must be one of %s; or set loops, from %d to %d",
		api.Quote(name), strings.Join(names, ", "), m.Loops.Min, m.Loops.Max)
}

// Efforts is what the efforts mean for a model, for GET /v1/models.
func Efforts(m *Model) map[string]int {
	out := map[string]int{}
	for _, e := range efforts {
		out[e.name] = e.loops(m)
	}
	return out
}

// replayOf reads replay_loops: the loops of each generated token, as an earlier answer's return_loops gave them.
func replayOf(b api.Body, m *Model) ([]int, error) {
	if !b.Has("replay_loops") {
		return nil, nil
	}
	const most = 1 << 20
	bad := func(format string, args ...any) ([]int, error) {
		return nil, api.Bad("replay_loops", api.CodeValue, "replay_loops"+format+fmt.Sprintf(": it must be a list of integers from %d to %d, one for each token",
			m.Loops.Min, m.Loops.Max), args...)
	}
	var list []json.RawMessage
	if b["replay_loops"][0] != '[' || json.Unmarshal(b["replay_loops"], &list) != nil {
		return bad(" is %s", api.Show(b["replay_loops"]))
	}
	if len(list) == 0 || len(list) > most {
		return bad(" has %d entries", len(list))
	}
	out := make([]int, len(list))
	for i, raw := range list {
		v, ok := api.Integer(raw)
		if !ok || v < int64(m.Loops.Min) || v > int64(m.Loops.Max) {
			return bad("[%d] is %s", i, api.Show(raw))
		}
		out[i] = int(v)
	}
	return out, nil
}
