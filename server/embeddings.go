package server

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// postEmbeddings answers with vectors. Nothing is generated.
func (s *Server) postEmbeddings(c *gin.Context) {
	b, t, err := s.readRequest(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	e, err := generate.ReadEmbedding(b, t.Target, s.call(c), s.cfg.Limits)
	if err != nil {
		s.fail(c, err)
		return
	}
	err = e.Start(c.Request.Context(), host{s}, s.call(c))
	if errors.Is(err, loopctl.ErrPagesExhausted) { // its own words are about max_tokens
		err = api.Bad("input", "kv_memory_exceeded", "input needs more KV memory at %d loops than model %s has: shorten it, or lower loops", e.Request.Loops, t.Name)
	}
	if err != nil {
		s.fail(c, renamed(err, "input"))
		return
	}
	defer e.Close()
	setLoopHeaders(c, e.Plan)
	out, err := e.Wait()
	if err != nil {
		s.endFailed(c, err)
		return
	}
	note(c, "tokens", out.Usage.PromptTokens)
	respond(c, http.StatusOK, out)
}
