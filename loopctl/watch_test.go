package loopctl_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// hanging is an engine whose block calls wait for release, and end early where they listen.
type hanging struct {
	loopctl.Engine

	release, interrupted chan struct{}
	once                 sync.Once
	deaf                 bool
}

func (h *hanging) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	select {
	case <-h.release:
		return h.Engine.Block(b)
	case <-h.interrupted:
		return loopctl.RowInfo{}, errors.New("terminated")
	}
}

func (h *hanging) Interrupt() {
	if !h.deaf {
		h.once.Do(func() { close(h.interrupted) })
	}
}

// A native call that takes too long is interrupted and fails its rows alone; one that hears nothing ends its model: streams and
// later requests get an error, the log says which call, and nobody waits.
func TestCallsThatHang(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		var log bytes.Buffer
		e := &hanging{Engine: loopctltest.New(smallLimits()), release: make(chan struct{}), interrupted: make(chan struct{}), deaf: deaf}
		c := loopctl.New(e, loopctl.Config{CallTimeout: 80 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c.Start()
		request := func() *loopctl.Request { return request(3, 4, 2) }
		streams, err := c.Submit(request(), request())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		want := loopctl.ErrEngine
		if deaf {
			want = loopctl.ErrStuck
		}
		for _, s := range streams {
			if e, err := s.Next(ctx); err != nil || e.Finish != loopctl.FinishError || !errors.Is(e.Err, want) {
				t.Errorf("deaf %v: %+v, %v, want %v", deaf, e, err, want)
			}
		}
		if stuck := c.Stuck(); deaf != (stuck != nil) || deaf && !strings.Contains(stuck.Error(), "block of") {
			t.Errorf("deaf %v: stuck %v", deaf, stuck)
		}
		if _, err := c.Submit(request()); deaf != errors.Is(err, loopctl.ErrStuck) {
			t.Errorf("deaf %v: a later request: %v", deaf, err)
		}
		close(e.release)
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
		if text := log.String(); !strings.Contains(text, "is interrupted") || deaf != strings.Contains(text, "is stuck") {
			t.Errorf("deaf %v: the log says %s", deaf, text)
		}
	}
}
