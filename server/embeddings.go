package server

import (
	"errors"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// postEmbeddings answers with vectors. Nothing is generated.
func (s *Server) postEmbeddings(c *gin.Context) (any, error) {
	b, t, err := s.readRequest(c)
	if err != nil {
		return nil, err
	}
	e, err := generate.ReadEmbedding(b, t.Target, s.call(c), s.cfg.Limits)
	if err != nil {
		return nil, err
	}
	g, err := s.start(c, e.Plan, e.Inputs, "embd-")
	switch {
	case errors.Is(err, loopctl.ErrPagesExhausted): // its own words are about max_tokens
		return nil, api.Bad("input", "kv_memory_exceeded", "input needs more KV memory at %d loops than model %s has: shorten it, or lower loops", e.Request.Loops, t.Name)
	case err != nil:
		return nil, renamed(err, "input")
	}
	defer g.Close()
	out, err := e.Wait(g)
	if err != nil {
		return nil, err
	}
	note(c, "tokens", out.Usage.PromptTokens)
	return out, nil
}
