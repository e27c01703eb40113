package server

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/internal/spelling"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/playground"
)

// getLive says that the process answers, and that nothing in it hangs for good.
func (s *Server) getLive(*gin.Context) (any, error) { return gin.H{"status": "alive"}, s.cfg.Alive() }

// readiness is what /readyz answers when it is well.
type readiness struct {
	Status  string    `json:"status"`
	LeftOut []LeftOut `json:"left_out,omitempty"`
}

// getReady says whether new requests are taken.
func (s *Server) getReady(*gin.Context) (any, error) {
	switch {
	case s.leaving.Load() || s.isDraining():
		return nil, loopctl.ErrDraining
	case s.served.Load() == nil:
		return nil, errLoading
	}
	return readiness{"ready", *s.left.Load()}, nil
}

func (s *Server) getVersion(*gin.Context) (any, error) { return gin.H{"version": s.cfg.Version}, nil }

// getLoad is vLLM's: how many requests generate.
func (s *Server) getLoad(*gin.Context) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return gin.H{"server_load": s.open}, nil
}

// getServerInfo says what clients may have to know of the configuration.
func (s *Server) getServerInfo(*gin.Context) (any, error) {
	l := s.cfg.Limits
	return gin.H{"version": s.cfg.Version, "body_limit": s.cfg.BodyLimit, "limits": gin.H{
		"prompts": l.Prompts, "n": l.Choices, "sequences": l.Sequences, "loop_steps": l.LoopSteps, "stop": l.Stops, "stop_token_ids": l.StopIDs,
	}}, nil
}

func (s *Server) getMetrics(c *gin.Context) {
	extendWrite(c)
	s.metrics.Handler().ServeHTTP(c.Writer, c.Request)
}

func (s *Server) getPlayground(c *gin.Context) {
	extendWrite(c)
	playground.Serve(c.Writer, c.Request)
}

// elsewhere are routes of other servers, and which of ours do the same.
var elsewhere = map[string]string{
	"/api/chat": "/v1/chat/completions", "/api/generate": "/v1/completions", "/api/embed": "/v1/embeddings", "/api/embeddings": "/v1/embeddings",
	"/api/tags": "/v1/models", "/completion": "/v1/completions", "/generate": "/v1/completions", "/v1/complete": "/v1/messages", "/props": "/server_info",
}

// noRoute tells of the routes that there are, and of the nearest: one that differs by a part before it or by a slip.
func noRoute(routes string, r *gin.Engine) gin.HandlerFunc {
	return func(c *gin.Context) {
		path, hint := c.Request.URL.Path, ""
		var known []string
		for _, route := range r.Routes() {
			known = append(known, route.Path)
			deep := strings.Count(route.Path, "/") > 1 && path != "/v1"
			if deep && (strings.HasSuffix(path, route.Path) || strings.HasSuffix(route.Path, path)) && (hint == "" || len(route.Path) < len(hint)) {
				hint = route.Path
			}
		}
		if near, ok := spelling.Near(path, known); ok {
			hint = near
		}
		if hint = cmp.Or(elsewhere[path], hint); hint != "" {
			hint = "the nearest is " + hint + "; "
		}
		fail(c, failure(http.StatusNotFound, "unknown_route", "no route %s %s: %s%s", c.Request.Method, api.Quote(path), hint, routes))
	}
}

// noMethod is answered with gin's Allow header.
func (s *Server) noMethod(c *gin.Context) {
	fail(c, failure(http.StatusMethodNotAllowed, "method_not_allowed", "method %s is not allowed on %s: use %s",
		api.Quote(c.Request.Method), api.Quote(c.Request.URL.Path), c.Writer.Header().Get("Allow")))
}
