package server

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// getModels lists each model, and its aliases at the least, default and most loops and at an adaptive depth: enough for
// a client with nothing but a list of models to choose from. Every other name@loops in range works as well.
func (s *Server) getModels(c *gin.Context) {
	list := modelList{Object: "list", Data: []modelCard{}}
	for _, m := range s.models() {
		list.Data = append(list.Data, card(target{Model: m}))
		depths := []int{m.Loops.Min, m.Loops.Default, m.Loops.Max}
		slices.Sort(depths)
		for _, n := range slices.Compact(depths) {
			list.Data = append(list.Data, card(target{Model: m, Alias: n}))
		}
		list.Data = append(list.Data, card(target{Model: m, Auto: true}))
	}
	respond(c, http.StatusOK, list)
}

// getModel takes aliases, too.
func (s *Server) getModel(c *gin.Context) {
	t, err := s.models().find(c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	respond(c, http.StatusOK, card(t))
}

func card(t target) modelCard {
	m := modelCard{
		ID: t.Name, Object: "model", Created: t.Created, OwnedBy: "loopserve",
		Root: t.Name, MaxModelLen: t.Context, KVPolicies: t.KVPolicies, Description: t.Description,
		Loops: cardLoops{
			Min: t.Loops.Min, Max: t.Loops.Max, Default: t.Loops.Default, Trained: t.Loops.Trained,
			ExitPolicies: t.exitPolicies(), ReasoningEffort: effortTable(t.Model),
		},
		KVPolicy: t.KVPolicy, Embeddings: t.HiddenSize,
	}
	a := t.auto()
	m.Loops.Auto = cardAuto{Loops: a.Loops, ExitPolicy: a.Exit.Kind.String(), ExitThreshold: a.Exit.Threshold, MinLoops: max(a.Exit.MinLoops, t.Loops.Min)}
	switch {
	case t.Auto:
		m.ID, m.Parent = t.Name+"@auto", &t.Name
		m.Loops.Default = a.Loops
	case t.Alias != 0:
		m.ID, m.Parent = fmt.Sprintf("%s@%d", t.Name, t.Alias), &t.Name
		m.Loops.Default = t.Alias
	}
	return m
}
