package server

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// errShutdown is the cause of a request's end when the server stops before it is done.
var errShutdown = fmt.Errorf("server stopped before the answer was complete: %w", loopctl.ErrDraining)

// errLoading is answered before the models are there.
var errLoading = errors.New("models are loading")

// statuses is the table from errors to answers, first match wins. The message is the error's own, which a row
// with text hides from the client.
var statuses = []struct {
	is     error
	status int
	typ    string
	code   string
	param  string
	text   string
	retry  bool // with Retry-After from the backlog
}{
	{loopctl.ErrQueueFull, http.StatusServiceUnavailable, api.TypeServer, "queue_full", "", "", true},
	{loopctl.ErrDraining, http.StatusServiceUnavailable, api.TypeServer, "draining", "", "server is shutting down and takes no new requests: try another instance, or again when it is back", true},
	{generate.ErrModelUnavailable, http.StatusServiceUnavailable, api.TypeServer, "model_unavailable", "model", "the model could not be brought into memory in time: try again, or ask for another model", true},
	{errLoading, http.StatusServiceUnavailable, api.TypeServer, "loading", "", "models are still loading: try again when GET /readyz says 200", true},
	{loopctl.ErrPromptTooLong, http.StatusBadRequest, api.TypeInvalid, "context_length_exceeded", "prompt", "", false},
	{loopctl.ErrPagesExhausted, http.StatusBadRequest, api.TypeInvalid, "kv_memory_exceeded", "max_tokens", "", false},
	{loopctl.ErrDeadline, http.StatusGatewayTimeout, api.TypeServer, "deadline_exceeded", "timeout_ms", "timeout_ms was over before the answer was complete: allow more, or ask for fewer tokens or loops", false},
	{loopctl.ErrEngine, http.StatusInternalServerError, api.TypeServer, "engine_error", "", "the model's engine failed on this request; other requests are not affected", false},
}

// toAPI finds what to tell the client. wait is how long the backlog will take.
func toAPI(err error, wait time.Duration) *api.Error {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e
	}
	if f, ok := errors.AsType[*loopctl.FieldError](err); ok {
		return generate.Refused(f)
	}
	for _, s := range statuses {
		if !errors.Is(err, s.is) {
			continue
		}
		e := &api.Error{Status: s.status, Type: s.typ, Code: s.code, Param: s.param, Message: s.text, Cause: err}
		if e.Message == "" {
			e.Message = err.Error()
		}
		if s.retry {
			if hint, ok := errors.AsType[interface {
				error
				RetryAfter() time.Duration
			}](err); ok {
				wait = hint.RetryAfter()
			}
			e.RetryAfter = min(max(wait, 200*time.Millisecond), time.Minute)
		}
		e.NoRetry = s.status == http.StatusInternalServerError || s.status == http.StatusGatewayTimeout // by its own wish
		return e
	}
	e := failure(http.StatusInternalServerError, "internal_error", "internal error; the server's log has the details under this request's id")
	e.NoRetry, e.Cause = true, err
	return e
}

// failure is an error that is about no field. OpenAI's type follows from the status.
func failure(status int, code, format string, args ...any) *api.Error {
	e := &api.Error{Status: status, Type: api.TypeInvalid, Code: code, Message: fmt.Sprintf(format, args...)}
	switch {
	case status == http.StatusUnauthorized:
		e.Type = api.TypeAuth
	case status >= 500:
		e.Type = api.TypeServer
	}
	return e
}

// renamed corrects the field of an engine's error about a prompt, where the route has none by that name.
func renamed(err error, field string) error {
	e := toAPI(err, 0)
	if e.Param != "prompt" {
		return err
	}
	e.Param = field
	return e
}

// fail ends the request with an error. Headers must not be out yet.
func fail(c *gin.Context, e *api.Error) {
	h := c.Writer.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
		h.Set("retry-after-ms", strconv.FormatInt(e.RetryAfter.Milliseconds(), 10))
	}
	if e.NoRetry {
		h.Set("x-should-retry", "false")
	}
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	note(c, "error", e.Code)
	if e.Cause != nil {
		note(c, "cause", e.Cause.Error())
	}
	respond(c, e.Status, e.Body())
	c.Abort()
}
