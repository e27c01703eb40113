package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Codes of a field that is wrong by itself.
const (
	CodeType    = "invalid_type"  // another JSON type than the field's
	CodeValue   = "invalid_value" // out of bounds, or a word that is not known
	CodeMissing = "missing_field"
	CodeLoops   = "loops_out_of_range"
)

// Error is an error as the client gets it.
type Error struct {
	Status  int // of HTTP
	Code    string
	Param   string // the body's field; empty where there is none
	Message string // field, value, remedy

	RetryAfter time.Duration // 0: no header
	NoRetry    bool          // retrying cannot help
	Cause      error         // for the log, never for the client
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Bad is a 400 about one field of the body.
func Bad(param, code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// Conflict is a 400 about two fields that exclude each other.
func Conflict(field, other, remedy string) *Error {
	return Bad(field, "conflicting_fields", "%s and %s exclude each other: %s", field, other, remedy)
}

// Inside says in which object the field of an error stands.
func Inside(object string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Param = object + "." + e.Param
		e.Message = object + "." + e.Message
	}
	return err
}

// ErrorBody is an error's JSON in OpenAI's shape.
type ErrorBody struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail is what it says; Param and Code are null where there are none.
type ErrorDetail struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// Body is the error in OpenAI's shape. The type follows from the status.
func (e *Error) Body() ErrorBody {
	d := ErrorDetail{Message: e.Message, Type: "invalid_request_error"}
	switch {
	case e.Status == http.StatusUnauthorized:
		d.Type = "authentication_error"
	case e.Status == http.StatusTooManyRequests:
		d.Type = "rate_limit_error"
	case e.Status >= 500:
		d.Type = "server_error"
	}
	if e.Param != "" {
		d.Param = &e.Param
	}
	if e.Code != "" {
		d.Code = &e.Code
	}
	return ErrorBody{Error: d}
}

// Anthropic is the error in Anthropic's shape. id is the request's.
func (e *Error) Anthropic(id string) any {
	kinds := map[int]string{
		http.StatusUnauthorized: "authentication_error", http.StatusForbidden: "permission_error", http.StatusNotFound: "not_found_error", http.StatusRequestEntityTooLarge: "request_too_large",
		http.StatusTooManyRequests:    "rate_limit_error",
		http.StatusServiceUnavailable: "overloaded_error", http.StatusGatewayTimeout: "timeout_error", http.StatusInternalServerError: "api_error",
	}
	d := e.Body().Error
	d.Type = cmp.Or(kinds[e.Status], "invalid_request_error")
	return struct {
		Type  string      `json:"type"`
		Error ErrorDetail `json:"error"`
		ID    string      `json:"request_id"`
	}{"error", d, id}
}
