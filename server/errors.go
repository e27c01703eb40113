package server

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
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

// codeInternal is the code of what no row of the table knows.
const codeInternal = "internal_error"

// statuses is the table from errors to answers, first match wins. The message is the error's own, which a row
// with text hides from the client.
var statuses = []struct {
	is     error
	status int
	code   string
	param  string
	text   string
}{
	{loopctl.ErrQueueFull, http.StatusServiceUnavailable, "queue_full", "", ""},
	{errCrowded, http.StatusServiceUnavailable, "too_many_bytes", "", ""},
	{loopctl.ErrDraining, http.StatusServiceUnavailable, "draining", "", "the server is shutting down and accepts no new requests: try another instance, or retry when it is back"},
	{generate.ErrModelUnavailable, http.StatusServiceUnavailable, "model_unavailable", "model", "the model could not be brought into memory in time: try again, or ask for another model"},
	{ErrNoModel, http.StatusNotFound, "model_not_found", "", ""},
	{ErrModelBusy, http.StatusConflict, "model_busy", "", ""},
	{errLoading, http.StatusServiceUnavailable, "loading", "", "models are still loading: try again when GET /readyz returns 200"},
	{loopctl.ErrPromptTooLong, http.StatusBadRequest, "context_length_exceeded", "prompt", ""},
	{loopctl.ErrPagesExhausted, http.StatusBadRequest, "kv_memory_exceeded", "max_tokens", ""},
	{loopctl.ErrDeadline, http.StatusGatewayTimeout, "deadline_exceeded", "timeout_ms", "timeout_ms passed before the answer was complete: raise it, or ask for fewer tokens or loops"},
	{loopctl.ErrStuck, http.StatusServiceUnavailable, "engine_stuck", "", "the model's engine does not return from a call: try another instance, or retry when this one was started again"},
	{loopctl.ErrEngine, http.StatusInternalServerError, "engine_error", "", "the model's engine failed on this request; other requests are not affected"},
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
		text := s.text
		if text == "" {
			text = err.Error()
		}
		e := failure(s.status, s.code, "%s", text)
		e.Param, e.Cause = s.param, err
		switch s.status {
		case http.StatusServiceUnavailable:
			if hint, ok := errors.AsType[interface {
				error
				RetryAfter() time.Duration
			}](err); ok {
				wait = hint.RetryAfter()
			}
			e.RetryAfter = min(max(wait, 200*time.Millisecond), time.Minute)
		case http.StatusInternalServerError, http.StatusGatewayTimeout: // the client itself asked for that end
			e.NoRetry = true
		}
		return e
	}
	e := failure(http.StatusInternalServerError, codeInternal, "internal error; the server's log has the details under this request's id")
	e.NoRetry, e.Cause = true, err
	return e
}

// failure is an error that is about no field.
func failure(status int, code, format string, args ...any) *api.Error {
	return &api.Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
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
	if strings.HasPrefix(c.Request.URL.Path, "/v1/messages") {
		respond(c, e.Status, e.Anthropic(c.GetString(keyRequestID)))
	} else {
		respond(c, e.Status, e.Body())
	}
	c.Abort()
}
