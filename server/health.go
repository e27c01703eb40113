package server

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/playground"
)

// getLive says that the process answers.
func (s *Server) getLive(*gin.Context) (any, error) { return gin.H{"status": "alive"}, nil }

// readiness is what /readyz answers when it is well.
type readiness struct {
	Status  string    `json:"status"`
	LeftOut []LeftOut `json:"left_out,omitempty"`
}

// getReady says whether new requests are taken.
func (s *Server) getReady(*gin.Context) (any, error) {
	switch {
	case s.isDraining():
		return nil, loopctl.ErrDraining
	case s.served.Load() == nil:
		return nil, errLoading
	}
	return readiness{"ready", *s.left.Load()}, nil
}

func (s *Server) getVersion(*gin.Context) (any, error) { return gin.H{"version": s.cfg.Version}, nil }

func (s *Server) getMetrics(c *gin.Context) {
	extendWrite(c)
	s.metrics.Handler().ServeHTTP(c.Writer, c.Request)
}

func (s *Server) getPlayground(c *gin.Context) {
	extendWrite(c)
	playground.Serve(c.Writer, c.Request)
}

// noRoute tells of the routes that there are.
func noRoute(routes string) gin.HandlerFunc {
	return func(c *gin.Context) {
		fail(c, failure(http.StatusNotFound, "unknown_route", "no route %s %s: %s", c.Request.Method, api.Quote(c.Request.URL.Path), routes))
	}
}

// noMethod is answered with gin's Allow header.
func (s *Server) noMethod(c *gin.Context) {
	fail(c, failure(http.StatusMethodNotAllowed, "method_not_allowed", "method %s is not allowed on %s: use %s",
		api.Quote(c.Request.Method), api.Quote(c.Request.URL.Path), c.Writer.Header().Get("Allow")))
}
