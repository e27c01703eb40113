package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/pprof"

	"github.com/gin-gonic/gin"
)

// What a ModelControl may answer, beside ErrModelUnavailable.
var (
	// ErrModelBusy says that a model is in use and cannot be taken out of memory.
	ErrModelBusy = errors.New("model is in use")
	// ErrNoModel says that no model has the name.
	ErrNoModel = errors.New("no such model")
)

// ModelStatus tells of one model.
type ModelStatus struct {
	Name           string `json:"name"`
	Folder         string `json:"folder"`
	Loaded         bool   `json:"loaded"`
	Loading        bool   `json:"loading"`
	Bytes          int64  `json:"bytes"` // that it takes, or at most would take
	Running        int    `json:"running"`
	Waiting        int    `json:"waiting"`
	WaitingForLoad int    `json:"waiting_for_load"`
	LastUsed       string `json:"last_used,omitempty"`
	Error          string `json:"error,omitempty"` // of the last load
}

// ModelControl brings models in and out of memory.
type ModelControl interface {
	ModelStatus() []ModelStatus
	LoadModel(ctx context.Context, name string) error
	UnloadModel(name string) error
	// Reload reads a model's bundle again; Rescan all whose bundles have changed.
	Reload(ctx context.Context, name string) error
	Rescan(ctx context.Context) error
}

// Admin is the handler of the admin listener: metrics, profiles, and models in and out of memory. It asks for the same
// keys as the API (for profiles and models, where some keys are operators', for one of those), and refuses the same requests of
// browsers, since a listener on loopback is open to whatever page an operator looks at. No page of another site may use it.
func (s *Server) Admin(models ModelControl) http.Handler {
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.Use(s.identify, s.account, s.recover, s.authorize, s.guard(s.cfg.AdminListen, nil))
	r.NoRoute(noRoute("the admin listener has /metrics, /debug/pprof/, /livez, /version and /admin/models", r))
	r.NoMethod(s.noMethod)
	r.GET("/livez", s.answers(s.getLive))
	r.GET("/version", s.answers(s.getVersion))
	r.GET("/metrics", s.getMetrics)

	own := r.Group("", func(c *gin.Context) {
		if s.operators && !s.operates(c) {
			fail(c, failure(http.StatusForbidden, "operator_only", "this API key is no operator's: ask the operator of this server for one that is"))
		}
	})
	own.GET("/debug/pprof/*profile", gin.WrapH(http.DefaultServeMux)) // where net/http/pprof puts its handlers
	own.POST("/debug/pprof/symbol", gin.WrapF(pprof.Symbol))

	answer := func(c *gin.Context, err error) {
		if err != nil {
			failAdmin(c, err)
			return
		}
		respond(c, http.StatusOK, gin.H{"models": models.ModelStatus()})
	}
	own.GET("/admin/models", func(c *gin.Context) { answer(c, nil) })
	own.POST("/admin/models/:id/reload", func(c *gin.Context) { answer(c, models.Reload(c.Request.Context(), c.Param("id"))) })
	own.POST("/admin/models/:id/load", func(c *gin.Context) { answer(c, models.LoadModel(c.Request.Context(), c.Param("id"))) })
	own.POST("/admin/models/:id/unload", func(c *gin.Context) { answer(c, models.UnloadModel(c.Param("id"))) })
	own.POST("/admin/rescan", func(c *gin.Context) { answer(c, models.Rescan(c.Request.Context())) })
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { s.serve(r, w, q) })
}

// failAdmin tells the operator all: who may use this listener may read the log.
func failAdmin(c *gin.Context, err error) {
	e := toAPI(err, 0)
	if e.Code == codeInternal {
		e.Code = "model_failed"
	}
	e.Message, e.Cause = err.Error(), err
	fail(c, e)
}
