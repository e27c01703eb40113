package serving

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/server"
)

// grace is how long a replaced model still takes requests that had found it before.
const grace = 2 * time.Second

func digestOf(dir string) ([32]byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, bundle.FileName))
	if err != nil {
		return [32]byte{}, fmt.Errorf("bundle %s: %w", dir, err)
	}
	return sha256.Sum256(data), nil
}

// Reload reads a model's bundle again. New requests get the new one; the old one generates what it has accepted to the
// end, then goes. Where the new bundle cannot be opened, the old one stays. While both are in memory the budget may be
// exceeded: what is served is not taken away for what may turn out broken.
func (p *Process) Reload(ctx context.Context, name string) error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	old, err := p.find(name)
	if err != nil {
		return err
	}
	return p.replace(ctx, old)
}

// Rescan reloads every bundle whose manifest has changed, and adds bundles that are new in the folders of the
// configuration. A bundle whose folder is gone stays as it is.
func (p *Process) Rescan(ctx context.Context) error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	dirs, err := FindBundles(p.cfg.Models)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		i := slices.IndexFunc(p.models, func(m *model) bool { return m.dir == dir })
		if i < 0 {
			errs = append(errs, p.add(dir))
			continue
		}
		digest, err := digestOf(dir)
		if err == nil && digest != p.models[i].digest {
			err = p.replace(ctx, p.models[i])
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// add serves a bundle that was not there at the start. It is loaded when somebody asks.
func (p *Process) add(dir string) error {
	m, err := p.maker.read(dir)
	if err != nil {
		return err
	}
	if err := p.fits(m); err != nil {
		return err
	}
	return p.serve(append(slices.Clone(p.models), m))
}

// serve makes list what the server serves.
func (p *Process) serve(list []*model) error {
	cards := make([]*server.Model, len(list))
	for i, m := range list {
		cards[i] = m.card
	}
	if err := p.server.SetModels(cards...); err != nil {
		return err
	}
	p.listing.Lock()
	p.models = list
	p.listing.Unlock()
	return nil
}

func (p *Process) replace(ctx context.Context, old *model) error {
	start := time.Now()
	fresh, err := p.maker.read(old.dir)
	if err != nil {
		return err
	}
	if fresh.name != old.name {
		return fmt.Errorf("bundle %s is now named %s, was %s: add it under the new name with a restart", old.dir, fresh.name, old.name)
	}
	if err := p.fits(fresh); err != nil {
		return err
	}
	f := p.fleet
	if loaded, _ := old.Loaded(); loaded {
		part, err := fresh.opened()
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), part.cut(context.WithoutCancel(ctx)))
		}
		f.mu.Lock()
		fresh.took = time.Since(start)
		f.place(fresh, part)
		f.mu.Unlock()
	}
	list := slices.Clone(p.models)
	list[slices.Index(list, old)] = fresh
	if err := p.serve(list); err != nil {
		return err
	}
	p.log.Info("model reloaded", "name", fresh.name, "took", time.Since(start).Round(time.Millisecond))
	f.wg.Go(func() { f.retire(old) })
	return nil
}

// retire takes no more requests for m after the grace, and unloads it when its last one has ended. Closing the fleet
// cuts it short.
func (f *fleet) retire(m *model) {
	for end := time.Now().Add(grace); time.Now().Before(end) && !f.isClosed(); time.Sleep(10 * time.Millisecond) {
	}
	f.mu.Lock()
	m.retired = true
	f.wake()
	f.mu.Unlock()
	for !f.isClosed() {
		f.mu.Lock()
		part := m.part
		over := part == nil || m.idle()
		if over {
			m.part = nil
		}
		f.mu.Unlock()
		if over {
			if part != nil {
				f.unload(m, part)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (f *fleet) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// find returns the model of a name.
func (p *Process) find(name string) (*model, error) {
	p.listing.Lock()
	defer p.listing.Unlock()
	var names []string
	for _, m := range p.models {
		if m.name == name {
			return m, nil
		}
		names = append(names, m.name)
	}
	return nil, fmt.Errorf("%w: %q: use one of %s", server.ErrNoModel, name, strings.Join(names, ", "))
}

// fits says whether m could be loaded with nothing else in memory.
func (p *Process) fits(m *model) error {
	if b := p.fleet.budget; b > 0 && m.estimate > b {
		return fmt.Errorf("model %s takes up to %s, model_memory is %s: raise it, or lower kv_memory (%s)",
			m.name, configs.Bytes(m.estimate).About(), configs.Bytes(b).About(), configs.Bytes(p.cfg.KVMemory))
	}
	return nil
}

// LoadModel brings a model into memory. It waits for room as a request does.
func (p *Process) LoadModel(ctx context.Context, name string) error {
	m, err := p.find(name)
	if err != nil {
		return err
	}
	if _, err := p.fleet.acquire(ctx, m); err != nil {
		return err
	}
	p.fleet.release(m)
	return nil
}

// UnloadModel takes a model out of memory; the next request loads it again. It is an error while the model is in use.
func (p *Process) UnloadModel(name string) error {
	m, err := p.find(name)
	if err != nil {
		return err
	}
	return p.fleet.drop(m)
}

// ModelStatus tells of each model, for the admin listener.
func (p *Process) ModelStatus() []server.ModelStatus {
	p.listing.Lock()
	list := slices.Clone(p.models)
	p.listing.Unlock()
	out := make([]server.ModelStatus, len(list))
	for i, m := range list {
		loaded, bytes := m.Loaded()
		s := m.Snapshot()
		out[i] = server.ModelStatus{Name: m.name, Folder: m.dir, Loaded: loaded, Bytes: bytes, Running: s.Running, Waiting: s.Waiting}
		p.fleet.mu.Lock()
		out[i].Loading, out[i].WaitingForLoad = m.loading, m.waiting
		if !m.used.IsZero() {
			out[i].LastUsed = m.used.UTC().Format(time.RFC3339)
		}
		if m.err != nil {
			out[i].Error = m.err.Error()
		}
		p.fleet.mu.Unlock()
	}
	return out
}
