package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
)

// What a command returns decides its exit code, before and after ^C.
func TestExitCode(t *testing.T) {
	running := t.Context()
	signalled := errors.New("interrupt signal received") // not context.Canceled: so it is in Go 1.26.0
	stopped, stop := context.WithCancelCause(context.Background())
	stop(signalled)
	tests := []struct {
		name string
		ctx  context.Context //nolint:containedctx // a case of a table, not a stored context
		err  error
		want int
	}{
		{"done", running, nil, exitOK},
		{"done before ^C was seen", stopped, nil, exitOK},
		{"failed", running, errors.New("disk full"), exitFailure},
		{"the output has said why", running, errSaid, exitFailure},
		{"usage", running, usagef("--loops is 0"), exitUsage},
		{"a server refuses the request", running, &measure.StatusError{Status: http.StatusBadRequest}, exitUsage},
		{"a server does not know the model", running, &measure.StatusError{Status: http.StatusNotFound}, exitUsage},
		{"a server fails", running, &measure.StatusError{Status: http.StatusInternalServerError}, exitFailure},
		{"the engine refuses the request", running, fmt.Errorf("run: %w", loopctl.ErrPromptTooLong), exitUsage},
		{"cancelled without a signal", running, context.Canceled, exitFailure},
		{"^C", stopped, fmt.Errorf("ask: %w", context.Canceled), exitInterrupted},
		{"^C, as net/http tells it", stopped, fmt.Errorf("Post: %w", signalled), exitInterrupted},
		{"failed for another reason after ^C", stopped, errors.New("disk full"), exitFailure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.ctx, tt.err); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
		})
	}
}
