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

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/server"
)

// LoadModels reads every bundle, loads the models that preload names, and has the server serve them all, once. A bundle that
// cannot be served is left out. With strict, or where nothing is left to serve, that is an error.
func (a *App) LoadModels(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.models != nil {
		return nil
	}
	var models []*model
	for _, dir := range a.dirs {
		m, err := a.read(dir, models)
		if err == nil {
			models = append(models, m)
		} else if a.leaveOut(dir, err); a.cfg.Strict {
			return err
		}
	}
	models, err := a.preload(ctx, models)
	if err == nil && len(models) == 0 {
		err = errors.Join(slices.Collect(maps.Values(a.leftOut))...)
	}
	if err != nil {
		return err
	}
	return a.serve(models, models...)
}

// read opens a bundle that is to be served beside others.
func (a *App) read(dir string, beside []*model) (*model, error) {
	m, err := a.loader.read(dir)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(beside, func(o *model) bool { return o.name == m.name }); i >= 0 {
		return nil, fmt.Errorf("bundle %s: two models are named %s, the other one is in %s: rename one of them in its manifest", dir, m.name, beside[i].dir)
	}
	if b := a.fleet.budget; b > 0 && m.bytes > b { // also with nothing else in memory
		return nil, fmt.Errorf("model %s needs up to %s, but model_memory is %s: raise it, or lower kv_memory (%s)",
			m.name, configs.Bytes(m.bytes).About(), configs.Bytes(b).About(), configs.Bytes(a.cfg.KVMemory))
	}
	return m, nil
}

// leaveOut says everywhere that a bundle cannot be served.
func (a *App) leaveOut(dir string, err error) {
	a.log.Error("bundle left out", "folder", dir, "error", err)
	a.mark(dir, err)
}

// mark has the server say what is wrong with a bundle, or with nil no more.
func (a *App) mark(dir string, err error) {
	a.listing.Lock()
	defer a.listing.Unlock()
	if a.leftOut[dir] = err; err == nil {
		delete(a.leftOut, dir)
	}
	var list []server.LeftOut
	for _, dir := range slices.Sorted(maps.Keys(a.leftOut)) {
		name := filepath.Base(dir)
		// where folders lie on this machine is not for everybody who may ask
		list = append(list, server.LeftOut{Name: name, Error: strings.ReplaceAll(a.leftOut[dir].Error(), dir, name)})
	}
	a.server.LeaveOut(list...)
}

// The first requests go first: how long a model is served before its mapped weights are read, and before its hashes are compared.
const (
	settleAfter = 500 * time.Millisecond
	checkAfter  = time.Second
)

// settle reads a served model's mapped weights into memory. One whose files were written meanwhile is ended.
func (a *App) settle(m *model, b *bundle.Bundle, e engine.Engine) {
	a.behind(m, settleAfter, func() (string, error) {
		n, err := e.Settle(a.checking)
		if n == 0 && err == nil { // none was mapped
			return "", nil
		}
		if changed := b.Unchanged(); changed != nil || err == nil {
			return "weights read into memory", changed
		}
		if a.checking.Err() == nil {
			a.log.Warn("weights stay mapped: don't write to their files, reload the model, or have verify: start read them first",
				"name", m.name, "error", err)
		}
		return "", nil
	})
}

// check compares the hashes of a model that is served already. One that is not what its manifest says is ended.
func (a *App) check(m *model) {
	a.behind(m, checkAfter, func() (string, error) { return "model verified", m.verify(a.checking) })
}

// behind does work for a model that is served already, and ends the model where the work fails. The log says what is done.
func (a *App) behind(m *model, after time.Duration, work func() (done string, err error)) {
	select {
	case <-time.After(after):
	case <-a.checking.Done():
		return
	}
	a.hashing.Lock() // one after another: requests need the processors
	defer a.hashing.Unlock()
	start := time.Now()
	done, err := work()
	a.reloading.Lock()
	defer a.reloading.Unlock()
	switch {
	case a.checking.Err() != nil || !slices.Contains(a.models, m): // the files may be those of the bundle that took its place
	case err != nil:
		a.leaveOut(m.dir, err)
		a.fleet.condemn(m, err)
	case done != "":
		a.log.Info(done, "name", m.name, "took", time.Since(start).Round(time.Millisecond))
	}
}

// preload loads what is there from the start: all models as far as the budget goes, or those that are named. It returns the
// models without those that could not be loaded.
func (a *App) preload(ctx context.Context, models []*model) ([]*model, error) {
	names := a.cfg.Preload
	if slices.Equal(names, []string{"none"}) {
		return models, nil
	}
	all := slices.Equal(names, []string{"all"})
	for _, name := range names {
		if !all && !slices.ContainsFunc(models, func(m *model) bool { return m.name == name }) {
			return nil, fmt.Errorf("preload names %q, but no bundle has that name: use names listed by `loopserve models`, all, or none", name)
		}
	}
	var good []*model
	for _, m := range models {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var err error
		takes, used, memory := configs.Bytes(m.bytes), configs.Bytes(a.fleet.used), configs.Bytes(a.fleet.budget)
		full, named := memory > 0 && used+takes > memory, slices.Contains(names, m.name)
		switch {
		case full && named:
			return nil, fmt.Errorf("preload: model %s needs up to %s, but %s of model_memory (%s) are in use: raise it, or preload fewer models",
				m.name, takes.About(), used.About(), memory.About())
		case full && all:
			a.log.Info("model not preloaded; its first request will load it", "name", m.name, "needs", takes.About(), "model_memory", memory.About())
		case named || all:
			err = a.fleet.loadNow(m)
		}
		if err == nil {
			good = append(good, m)
		} else if a.leaveOut(m.dir, err); a.cfg.Strict {
			return nil, err
		}
	}
	return good, nil
}
