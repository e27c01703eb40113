package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/generate"
)

// grace is how long a replaced model still takes requests that had found it before.
const grace = 2 * time.Second

// Reload reads a model's bundle again. New requests get the new one; the old one generates what it has accepted to the
// end, then goes. Where the new bundle cannot be opened, the old one stays. While both are in memory the budget may be
// exceeded: what is served is not taken away for what may turn out broken.
func (a *App) Reload(ctx context.Context, name string) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	old, err := a.find(name)
	if err != nil {
		return err
	}
	return a.take(ctx, old.dir, old)
}

// Rescan reloads every bundle whose manifest has changed, and adds bundles that are new in the folders of the
// configuration. A bundle whose folder is gone stays as it is.
func (a *App) Rescan(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	dirs, err := FindBundles(a.cfg.Models)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		i := slices.IndexFunc(a.models, func(m *model) bool { return m.dir == dir })
		if i < 0 { // it was not there at the start, and is loaded when somebody asks
			err := a.take(ctx, dir, nil)
			if err != nil {
				a.leaveOut(dir, err)
			}
			errs = append(errs, err)
			continue
		}
		digest, err := bundle.Digest(dir)
		if err == nil && digest != a.models[i].digest {
			err = a.take(ctx, dir, a.models[i])
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// serve makes list what the server serves. The hashes of what is fresh in it are compared from now on.
func (a *App) serve(list []*model, fresh ...*model) error {
	slices.SortFunc(list, func(a, b *model) int { return strings.Compare(a.name, b.name) })
	cards := make([]*generate.Model, len(list))
	for i, m := range list {
		cards[i] = m.card
	}
	if err := a.server.SetModels(cards...); err != nil {
		return err
	}
	a.listing.Lock()
	a.models = list
	a.listing.Unlock()
	for _, m := range fresh {
		a.mark(m.dir, nil)
		if m.verify != nil {
			a.checks.Go(func() { a.check(m) })
		}
	}
	return nil
}

// take reads a bundle and serves it: in the place of old, and in memory where that is, or beside all others where old is nil.
func (a *App) take(ctx context.Context, dir string, old *model) error {
	start, list := time.Now(), slices.Clone(a.models)
	fresh, err := a.read(dir, slices.DeleteFunc(slices.Clone(list), func(m *model) bool { return m == old }))
	if err != nil {
		return err
	}
	if old == nil {
		return a.serve(append(list, fresh), fresh)
	}
	if fresh.name != old.name {
		return fmt.Errorf("bundle %s is now named %s instead of %s: restart to serve it under the new name", dir, fresh.name, old.name)
	}
	f := a.fleet
	if loaded, _ := old.Loaded(); loaded {
		if err := f.loadNow(fresh); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), f.drop(fresh))
		}
	}
	list[slices.Index(list, old)] = fresh
	if err := a.serve(list, fresh); err != nil {
		return err
	}
	a.log.Info("model reloaded", "name", fresh.name, "took", time.Since(start).Round(time.Millisecond))
	f.wg.Go(func() { f.retire(old) })
	return nil
}

// find returns the model of a name.
func (a *App) find(name string) (*model, error) {
	a.listing.Lock()
	defer a.listing.Unlock()
	var names []string
	for _, m := range a.models {
		if m.name == name {
			return m, nil
		}
		names = append(names, m.name)
	}
	return nil, fmt.Errorf("%w: %q: use one of %s", server.ErrNoModel, name, strings.Join(names, ", "))
}

// LoadModel brings a model into memory. It waits for room as a request does.
func (a *App) LoadModel(ctx context.Context, name string) error {
	m, err := a.find(name)
	if err != nil {
		return err
	}
	if _, err := a.fleet.acquire(ctx, m); err != nil {
		return err
	}
	a.fleet.release(m)
	return nil
}

// UnloadModel takes a model out of memory; the next request loads it again. It is an error while the model is in use.
func (a *App) UnloadModel(name string) error {
	m, err := a.find(name)
	if err != nil {
		return err
	}
	return a.fleet.drop(m)
}

// ModelStatus tells of each model, for the admin listener.
func (a *App) ModelStatus() []server.ModelStatus {
	a.listing.Lock()
	list, leftOut := slices.Clone(a.models), maps.Clone(a.leftOut)
	a.listing.Unlock()
	out := make([]server.ModelStatus, len(list))
	for i, m := range list {
		loaded, bytes := m.Loaded()
		s := m.Snapshot()
		out[i] = server.ModelStatus{Name: m.name, Folder: m.dir, Loaded: loaded, Bytes: bytes, Running: s.Running, Waiting: s.Waiting}
		a.fleet.mu.Lock()
		out[i].Loading, out[i].WaitingForLoad = m.loading, m.waiting
		if !m.used.IsZero() {
			out[i].LastUsed = m.used.UTC().Format(time.RFC3339)
		}
		if m.err != nil {
			out[i].Error = m.err.Error()
		}
		a.fleet.mu.Unlock()
		delete(leftOut, m.dir) // it has a row already
	}
	for _, dir := range slices.Sorted(maps.Keys(leftOut)) {
		out = append(out, server.ModelStatus{Name: filepath.Base(dir), Folder: dir, Error: leftOut[dir].Error()})
	}
	slices.SortStableFunc(out, func(a, b server.ModelStatus) int { return strings.Compare(a.Name, b.Name) })
	return out
}
