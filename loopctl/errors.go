package loopctl

import (
	"errors"
	"fmt"
)

// Errors that callers branch on with errors.Is. Each is wrapped with the values that led to it.
var (
	// ErrQueueFull says that the waiting queue is at its bound: try again later.
	ErrQueueFull = errors.New("queue is full")
	// ErrDraining says that the controller is shutting down and takes no new requests.
	ErrDraining = errors.New("server is draining")
	// ErrPromptTooLong says that prompt and completion don't fit the model's context.
	ErrPromptTooLong = errors.New("prompt too long")
	// ErrPagesExhausted says that the request could not fit the KV pages even alone.
	ErrPagesExhausted = errors.New("not enough KV pages")
	// ErrBadRequest says that a field of the request is out of its range.
	ErrBadRequest = errors.New("bad request")
	// ErrDeadline says that the request's deadline came before its end.
	ErrDeadline = errors.New("deadline exceeded")
	// ErrEngine says that a native call failed: the rows of that call are lost, the engine goes on.
	ErrEngine = errors.New("engine call failed")
	// ErrStuck says that a native call does not return: the controller serves nobody any more.
	ErrStuck = errors.New("engine call does not return")
)

// FieldError says which field of a request is wrong, and what would be right. It is ErrBadRequest to errors.Is.
type FieldError struct {
	Field string // as the API spells it: loops, max_tokens, prompt
	Item  string // which entry of a list, as [3]; empty where the field as a whole is wrong
	Value any    // the wrong value; nil where Why says it all
	// Low and High are the bounds that the value is outside of; both are 0 where the error is not one of bounds. An
	// exit_threshold must be above Low, every other field may equal it.
	Low, High float64
	With      string // the field that this one excludes; empty where the error is not a conflict
	Why       string // what the field must be, or the remedy
}

// Error is a sentence: the field, its value, what it must be.
func (e *FieldError) Error() string {
	if e.Value == nil {
		return fmt.Sprintf("%s%s %s", e.Field, e.Item, e.Why)
	}
	return fmt.Sprintf("%s%s is %v: %s", e.Field, e.Item, e.Value, e.Why)
}

// Unwrap makes every FieldError an ErrBadRequest.
func (e *FieldError) Unwrap() error { return ErrBadRequest }
