package generate

import (
	"encoding/json"
	"strconv"

	"github.com/loopserve/loopserve/server/api"
)

// origin is where a request's loops come from, for messages.
type origin struct {
	field string          // of the body
	what  string          // as messages call it
	raw   json.RawMessage // as it was sent
}

// readLoops finds the request's loops: the body's loops, then its reasoning_effort, then the alias, then X-Loops, then
// the model's default.
func (p *Plan) readLoops(v *api.Values, t Target, header string) (origin, error) {
	m := p.Model
	from := origin{field: "loops", what: "loops"}
	switch {
	case v.Has("loops"):
		from.raw = v.Raw("loops")
	case v.Has("reasoning_effort"):
		p.Requested = efforts[v.Text("reasoning_effort")](m)
	case t.Alias != 0: // Takes has looked at it
		p.Requested = t.Alias
	case header != "" && !t.Auto: // that alias brings a depth of its own
		from.what, from.raw = "header X-Loops", json.RawMessage(header)
		if _, ok := api.Integer(from.raw); !ok {
			from.raw = json.RawMessage(strconv.Quote(header))
		}
	default:
		p.Request.Loops = m.Loops.Default
		return from, nil
	}
	if from.raw != nil {
		n, ok := api.Integer(from.raw)
		p.Requested = int(n)
		clamp := v.Bool("loops_clamp") && n == int64(int32(n))
		if !ok || n < 1 && !clamp || n != int64(int32(n)) { // 0 is loopctl's word for the default
			return from, v.OutOfRange(from.field, from.what, from.raw)
		}
		if clamp {
			p.Request.Loops = min(max(p.Requested, m.Loops.Min), m.Loops.Max)
			return from, nil
		}
	}
	p.Request.Loops = p.Requested
	return from, nil
}

// efforts are OpenAI's reasoning efforts, each as a place in the model's range of loops. A looped model has no other
// knob for how long it thinks about a token.
var efforts = map[string]func(m *Model) int{
	"none":    func(m *Model) int { return m.Loops.Min },
	"minimal": func(m *Model) int { return m.Loops.Min },
	"low":     func(m *Model) int { return (m.Loops.Min + m.Loops.Default) / 2 },
	"medium":  func(m *Model) int { return m.Loops.Default },
	"high":    func(m *Model) int { return m.TrainedLoops() },
	"xhigh":   func(m *Model) int { return m.Loops.Max },
}

// Efforts is what the efforts mean for a model, for GET /v1/models.
func Efforts(m *Model) map[string]int {
	out := map[string]int{}
	for name, loops := range efforts {
		out[name] = loops(m)
	}
	return out
}
