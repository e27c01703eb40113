package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/generate"
)

// model is one reading of one bundle: what a client may know of it stays in memory, its engine comes and goes. It is
// the server's Generator: the first request brings the engine in. A reload makes another model.
type model struct {
	name, dir string
	digest    [32]byte // of the manifest
	card      *generate.Model
	bytes     int64                       // that it takes in memory
	open      func() (*loaded, error)     // slow
	verify    func(context.Context) error // compares the hashes, once it is served; nil: they need no look
	fleet     *fleet

	// Under fleet.mu.
	loaded  *loaded // nil: not in memory
	users   int     // Submits under way
	waiting int     // acquires under way
	used    time.Time
	loading bool
	took    time.Duration // of the last load
	err     error         // of the last load, at failed, or why it has ended
	failed  time.Time
	again   time.Duration // after which a request that err refused may come again
	ended   bool          // for good: its bundle must not be used, or a reload has taken its place
}

// refused says whether err holds. It needs fleet.mu, as end does.
func (m *model) refused() bool {
	return m.ended || m.err != nil && time.Since(m.failed) < retryFailed
}

// end has nobody find the model any more. The first reason stays.
func (m *model) end(err error, again time.Duration) {
	if !m.ended {
		m.ended, m.err, m.again = true, err, again
	}
}

// loaded is what takes memory: a controller, which runs, and its engine.
type loaded struct {
	controller *loopctl.Controller
	free       func() error // the engine's
}

// Submit implements generate.Generator.
func (m *model) Submit(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
	ctx := context.Background()
	if len(reqs) > 0 && reqs[0].Context != nil {
		ctx = reqs[0].Context
	}
	l, err := m.fleet.acquire(ctx, m)
	if err != nil {
		return nil, err
	}
	defer m.fleet.release(m) // from here on the controller knows that it is in use
	return l.controller.Submit(reqs...)
}

// Snapshot implements generate.Generator; it is zero while the model is not in memory.
func (m *model) Snapshot() (s loopctl.Snapshot) {
	m.fleet.mu.Lock()
	defer m.fleet.mu.Unlock()
	if m.loaded != nil {
		s = m.loaded.controller.Snapshot()
	}
	return s
}

// Loaded implements generate.Loaded.
func (m *model) Loaded() (bool, int64) {
	m.fleet.mu.Lock()
	defer m.fleet.mu.Unlock()
	return m.loaded != nil, m.bytes
}

// idle says that nobody generates or is about to. It needs fleet.mu.
func (m *model) idle() bool {
	if m.users > 0 {
		return false
	}
	s := m.loaded.controller.Snapshot()
	return s.Running == 0 && s.Waiting == 0 && s.Backlog == 0
}

// opened is open, with a panic made an error: a bundle that is worse than anybody thought must not take the others down.
func (m *model) opened() (l *loaded, err error) {
	defer func() {
		if r := recover(); r != nil {
			l, err = nil, fmt.Errorf("bundle %s: opening panicked: %v", m.dir, r)
		}
	}()
	return m.open()
}

// close waits for what was accepted, then frees the memory.
func (l *loaded) close(ctx context.Context) error {
	return errors.Join(l.controller.Drain(ctx), l.cut(ctx))
}

// cut ends what still generates, then frees the memory.
func (l *loaded) cut(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := l.controller.Close(ctx); err != nil {
		return err // its engine is still in a native call: freeing it would be a crash
	}
	return l.free()
}
