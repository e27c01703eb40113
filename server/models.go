package server

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/chat"
	"github.com/loopserve/loopserve/server/generate"
)

// target is a served model, with its chat template, as a request names it.
type target struct {
	generate.Target

	template *chat.Template
}

// models are looked up by name, or as name@loops or name@auto.
type models []target

// newModels checks the models that are to be served. Those that are served already keep their compiled templates.
func newModels(list []*generate.Model, before models) (models, error) {
	for i, m := range list {
		switch {
		case slices.ContainsFunc(append([]string{m.Name}, m.Names...), func(n string) bool { return n == "" || strings.ContainsAny(n, "@ \t\n") }):
			return nil, fmt.Errorf("model name %q %q: it must not be empty or contain @ or spaces", m.Name, m.Names)
		case m.Generator == nil || m.Tokenizer == nil:
			return nil, fmt.Errorf("model %s: needs a generator and a tokenizer", m.Name)
		case m.Loops.Min < 1 || m.Loops.Default < m.Loops.Min || m.Loops.Max < m.Loops.Default:
			return nil, fmt.Errorf("model %s: loops %+v: need 1 ≤ min ≤ default ≤ max", m.Name, m.Loops)
		case m.Context < 1 || m.Vocab < 1:
			return nil, fmt.Errorf("model %s: context %d and vocabulary %d must be positive", m.Name, m.Context, m.Vocab)
		case slices.ContainsFunc(list[:i], func(o *generate.Model) bool { return o.Name == m.Name }):
			return nil, fmt.Errorf("two models are named %s: rename one of them in its manifest", m.Name)
		}
	}
	out := make(models, len(list))
	for i, m := range list {
		out[i].Model = m
		if at := slices.IndexFunc(before, func(o target) bool { return o.Model == m }); at >= 0 {
			out[i].template = before[at].template
		} else {
			out[i].template = chat.New(m)
		}
	}
	return out, nil
}

// find resolves a name. An empty one means the only model there is.
func (ms models) find(name string) (target, error) {
	if name == "" {
		if len(ms) == 1 {
			return ms[0], nil
		}
		return target{}, api.Bad("model", "missing_field", "model is missing: give one of %s", ms.names())
	}
	bare, suffix, isAlias := strings.Cut(name, "@")
	for _, t := range ms {
		if t.Name != bare && !slices.Contains(t.Names, bare) {
			continue
		}
		if !isAlias {
			return t, nil
		}
		if suffix == "auto" {
			t.Auto = true
			return t, nil
		}
		if n, err := strconv.Atoi(suffix); err == nil && t.Takes(n) {
			t.Alias = n
			return t, nil
		}
		return target{}, api.Bad("model", "loops_out_of_range",
			"model is %s: after @ model %s takes an integer from %d to %d, or auto", api.Quote(name), t.Name, t.Loops.Min, t.Loops.Max)
	}
	e := failure(http.StatusNotFound, "model_not_found", "model %s is not served here: use one of %s", api.Quote(name), ms.names())
	e.Param = "model"
	return target{}, e
}

func (ms models) names() string {
	const most = 8
	var out []string
	for _, m := range ms {
		out = append(out, m.Name)
	}
	if len(out) > most {
		out = append(out[:most], "… (GET /v1/models)")
	}
	return strings.Join(out, ", ")
}

// getModels lists each model, and its aliases at the least, default and most loops and at an adaptive depth: enough for
// a client with nothing but a list of models to choose from. Every other name@loops in range works as well.
func (s *Server) getModels(*gin.Context) (any, error) {
	list := []modelCard{}
	for _, m := range s.models() {
		list = append(list, card(m.Target))
		for _, name := range m.Names {
			other := card(m.Target)
			other.ID, other.Parent = name, &m.Name
			list = append(list, other)
		}
		depths := []int{m.Loops.Min, m.Loops.Default, m.Loops.Max}
		slices.Sort(depths)
		for _, n := range slices.Compact(depths) {
			list = append(list, card(generate.Target{Model: m.Model, Alias: n}))
		}
		list = append(list, card(generate.Target{Model: m.Model, Auto: true}))
	}
	return modelList{"list", list, *s.left.Load()}, nil
}

// getModel takes aliases, too.
func (s *Server) getModel(c *gin.Context) (any, error) {
	t, err := s.models().find(strings.TrimPrefix(c.Param("id"), "/"))
	if err != nil {
		return nil, err
	}
	return card(t.Target), nil
}

func card(t generate.Target) modelCard {
	m := modelCard{
		ID: t.Name, Object: "model", Created: t.Created, OwnedBy: "loopserve",
		Root: t.Name, MaxModelLen: t.Context, KVPolicies: t.KVPolicies, Description: t.Description,
		Loops: cardLoops{
			Min: t.Loops.Min, Max: t.Loops.Max, Default: t.Loops.Default, Trained: t.Loops.Trained,
			Trajectory: t.Trajectories == loopctl.TrajectoryAny, ExitPolicies: t.ExitPolicies(), ReasoningEffort: generate.Efforts(t.Model),
		},
		KVPolicy: t.KVPolicy, Embeddings: t.HiddenSize, Defaults: t.Defaults,
	}
	a := t.AutoDepth()
	m.Loops.Auto = cardAuto{Loops: a.Loops, ExitPolicy: a.Exit.Kind.String(), ExitThreshold: a.Exit.Threshold, MinLoops: max(a.Exit.MinLoops, t.Loops.Min)}
	switch {
	case t.Auto:
		m.ID, m.Parent = t.Name+"@auto", &t.Name
		m.Loops.Default = a.Loops
	case t.Alias != 0:
		m.ID, m.Parent = fmt.Sprintf("%s@%d", t.Name, t.Alias), &t.Name
		m.Loops.Default = t.Alias
	}
	if t.KVTokens != nil {
		m.KVTokens = t.KVTokens(m.Loops.Default)
	}
	return m
}

type modelList struct {
	Object  string      `json:"object"`
	Data    []modelCard `json:"data"`
	LeftOut []LeftOut   `json:"left_out,omitempty"`
}

type modelCard struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`

	Root        string    `json:"root"`
	Parent      *string   `json:"parent"` // the model that an alias stands for
	MaxModelLen int       `json:"max_model_len"`
	Loops       cardLoops `json:"loops"`
	KVPolicies  []string  `json:"kv_policies,omitempty"`
	KVPolicy    string    `json:"kv_policy,omitempty"`
	KVTokens    int       `json:"kv_tokens,omitempty"` // that fit in the KV pages at the default loops, all sequences together
	Embeddings  int       `json:"embedding_size,omitempty"`
	Description string    `json:"description,omitempty"`
	// Defaults are of fields of sampling that a request leaves out, from the model's generation_config.json.
	Defaults api.Defaults `json:"generation_config,omitempty"`
}

type cardLoops struct {
	Min          int      `json:"min"`
	Max          int      `json:"max"`
	Default      int      `json:"default"`
	Trained      int      `json:"trained"`
	ExitPolicies []string `json:"exit_policies"`
	Trajectory   bool     `json:"trajectory,omitempty"` // a request may say how far each loop goes
	Auto         cardAuto `json:"auto"`                 // what @auto stands for
	// ReasoningEffort is what each reasoning_effort stands for.
	ReasoningEffort map[string]int `json:"reasoning_effort"`
}

type cardAuto struct {
	Loops         int     `json:"loops"` // the most
	ExitPolicy    string  `json:"exit_policy"`
	ExitThreshold float64 `json:"exit_threshold"`
	MinLoops      int     `json:"min_loops"`
}
