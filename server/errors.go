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
)

// OpenAI's error types.
const (
	typeInvalid = "invalid_request_error"
	typeAuth    = "authentication_error"
	typeServer  = "server_error"
)

// apiError is an error as the client gets it.
type apiError struct {
	Status  int
	Type    string
	Code    string
	Param   string // the body field; empty where there is none
	Message string // field, value, remedy

	retryAfter time.Duration // 0: no header
	noRetry    bool          // doing the same again gives the same
	cause      error         // for the log, never for the client
}

func (e *apiError) Error() string { return e.Message }

func (e *apiError) Unwrap() error { return e.cause }

// badField is a 400 about one field of the body.
func badField(param, code, format string, args ...any) *apiError {
	return &apiError{
		Status: http.StatusBadRequest, Type: typeInvalid, Code: code, Param: param,
		Message: fmt.Sprintf(format, args...),
	}
}

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
	{loopctl.ErrQueueFull, http.StatusServiceUnavailable, typeServer, "queue_full", "", "", true},
	{loopctl.ErrDraining, http.StatusServiceUnavailable, typeServer, "draining", "", "server is shutting down and takes no new requests: try another instance, or again when it is back", true},
	{ErrModelUnavailable, http.StatusServiceUnavailable, typeServer, "model_unavailable", "model", "the model could not be brought into memory in time: try again, or ask for another model", true},
	{errLoading, http.StatusServiceUnavailable, typeServer, "loading", "", "models are still loading: try again when GET /readyz says 200", true},
	{loopctl.ErrPromptTooLong, http.StatusBadRequest, typeInvalid, "context_length_exceeded", "prompt", "", false},
	{loopctl.ErrPagesExhausted, http.StatusBadRequest, typeInvalid, "kv_memory_exceeded", "max_tokens", "", false},
	{loopctl.ErrBadRequest, http.StatusBadRequest, typeInvalid, "invalid_value", "", "", false},
	{loopctl.ErrDeadline, http.StatusGatewayTimeout, typeServer, "deadline_exceeded", "timeout_ms", "timeout_ms was over before the answer was complete: allow more, or ask for fewer tokens or loops", false},
	{loopctl.ErrEngine, http.StatusInternalServerError, typeServer, "engine_error", "", "the model's engine failed on this request; other requests are not affected", false},
}

// toAPI finds what to tell the client. wait is how long the backlog will take.
func toAPI(err error, wait time.Duration) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	for _, s := range statuses {
		if !errors.Is(err, s.is) {
			continue
		}
		e := &apiError{Status: s.status, Type: s.typ, Code: s.code, Param: s.param, Message: s.text, cause: err}
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
			e.retryAfter = min(max(wait, 200*time.Millisecond), time.Minute)
		}
		if f, ok := errors.AsType[*loopctl.FieldError](err); ok {
			e.Param = f.Field
		}
		e.noRetry = s.status == http.StatusInternalServerError || s.status == http.StatusGatewayTimeout // by its own wish
		return e
	}
	return &apiError{
		Status: http.StatusInternalServerError, Type: typeServer, Code: "internal_error",
		Message: "internal error; the server's log has the details under this request's id", noRetry: true, cause: err,
	}
}

// wire is the error's JSON in OpenAI's shape.
func (e *apiError) wire() errorBody {
	d := errorDetail{Message: e.Message, Type: e.Type}
	if e.Param != "" {
		d.Param = &e.Param
	}
	if e.Code != "" {
		d.Code = &e.Code
	}
	return errorBody{Error: d}
}

// fail ends the request with an error. Headers must not be out yet.
func fail(c *gin.Context, e *apiError) {
	h := c.Writer.Header()
	if e.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
		h.Set("retry-after-ms", strconv.FormatInt(e.retryAfter.Milliseconds(), 10))
	}
	if e.noRetry {
		h.Set("x-should-retry", "false")
	}
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	note(c, "error", e.Code)
	if e.cause != nil {
		note(c, "cause", e.cause.Error())
	}
	respond(c, e.Status, e.wire())
	c.Abort()
}
