package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/generate"
)

// fleet decides which models are in memory: those that somebody asks for, as far as the budget goes. A model that
// nobody uses makes room for one that somebody waits for, the longest unused first; one that generates never does.
//
// Its one goroutine, run by whoever first wants a model and gone when nothing is wanted, loads and unloads; close waits
// for it. Everything below mu is touched under mu.
type fleet struct {
	budget  int64         // bytes; 0: no bound
	wait    time.Duration // of a request for its model
	waiters int           // that may wait for one model
	log     *slog.Logger
	tell    func(model, event string, took time.Duration) // for metrics

	mu       sync.Mutex
	changed  chan struct{}        // closed, and made anew, when a waiter should look again
	wanted   []*model             // first come first
	inMemory []*model             // in memory, or being unloaded
	began    map[string]time.Time // of the loads under way, by model
	used     int64                // by what is loaded, being loaded and being unloaded
	working  bool
	closed   bool
	wg       sync.WaitGroup
}

// Why a model is not there. All are generate.ErrModelUnavailable.
var (
	errBusy     = errors.New("its memory did not become free in time: the loaded models are in use")
	errSlow     = errors.New("it is still loading")
	errCrowded  = errors.New("too many requests are waiting for it")
	errReplaced = errors.New("it was replaced while the request was read")
)

// unavailable is an error of acquire.
type unavailable struct {
	name  string
	cause error
	again time.Duration
}

func (e *unavailable) Error() string {
	return fmt.Sprintf("model %s: %v: %v", e.name, generate.ErrModelUnavailable, e.cause)
}

func (e *unavailable) Unwrap() []error { return []error{generate.ErrModelUnavailable, e.cause} }

// RetryAfter is for the answer's header.
func (e *unavailable) RetryAfter() time.Duration { return e.again }

func newFleet(budget int64, wait time.Duration, waiters int, log *slog.Logger, tell func(model, event string, took time.Duration)) *fleet {
	return &fleet{budget: budget, wait: wait, waiters: waiters, log: log, tell: tell, changed: make(chan struct{}), began: map[string]time.Time{}}
}

// acquire returns what m has in memory and counts a user in, until release. It waits for it to be loaded.
func (f *fleet) acquire(ctx context.Context, m *model) (*loaded, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.wait, errSlow)
	defer cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	m.waiting++
	defer func() {
		if m.waiting--; m.waiting == 0 && m.loaded == nil {
			f.wake() // nobody wants it any more
		}
	}()
	for {
		over := context.Cause(ctx)
		switch {
		case f.closed:
			return nil, &unavailable{m.name, errReplaced, readAgain}
		case m.refused():
			return nil, &unavailable{m.name, m.err, m.again}
		case m.loaded != nil: // it may have come at the last moment
			m.users++
			m.used = time.Now()
			return m.loaded, nil
		case over != nil && !errors.Is(over, errSlow):
			return nil, over
		case over != nil && !m.loading:
			return nil, &unavailable{m.name, errBusy, max(m.took, time.Second)}
		case over != nil:
			return nil, &unavailable{m.name, errSlow, max(m.took, time.Second)}
		case m.waiting > f.waiters:
			return nil, &unavailable{m.name, errCrowded, max(m.took, time.Second)}
		}
		f.want(m)
		f.sleep(ctx)
	}
}

// When a refused request may try again.
const (
	readAgain   = 200 * time.Millisecond // of a model that was replaced: the new one is there
	retryFailed = 5 * time.Second        // for so long a bundle that could not be opened is not tried again
	condemned   = time.Minute            // of a bundle that somebody has to mend first
)

func (f *fleet) release(m *model) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.users--
	m.used = time.Now()
	if m.users == 0 {
		f.wake()
	}
}

// fellIdle is what the controllers of loaded models call when they have nothing to do.
func (f *fleet) fellIdle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wake()
}

// want puts m in line, and starts the goroutine that works the line off.
func (f *fleet) want(m *model) {
	if m.loading || slices.Contains(f.wanted, m) {
		return
	}
	f.wanted = append(f.wanted, m)
	if f.working {
		f.wake()
		return
	}
	f.working = true
	f.wg.Go(f.work)
}

// work loads what is wanted, one after another, until nothing is.
func (f *fleet) work() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		f.wanted = slices.DeleteFunc(f.wanted, func(m *model) bool { return m.waiting == 0 || m.ended || m.loaded != nil })
		if len(f.wanted) == 0 || f.closed {
			f.wanted, f.working = nil, false
			return
		}
		m, victims := f.choose()
		if m == nil { // all that could make room is in use
			f.sleep(context.Background())
			continue
		}
		m.loading = true // while it is made room for, too
		_ = f.unload(context.Background(), (*loaded).close, victims...)
		if err := f.load(m); err != nil { // nobody else loads, so the room is still there
			f.tell(m.name, "failed", m.took)
			f.log.Error("model could not be loaded", "name", m.name, "error", err)
		}
	}
}

// choose finds the first wanted model for which there is room, or can be made.
func (f *fleet) choose() (*model, []*model) {
	for _, m := range f.wanted {
		if victims, ok := f.room(m.bytes); ok {
			return m, victims
		}
	}
	return nil, nil
}

// room says which models must go so that bytes fit, and whether they may.
func (f *fleet) room(bytes int64) (victims []*model, ok bool) {
	if f.budget == 0 {
		return nil, true
	}
	idle := slices.DeleteFunc(slices.Clone(f.inMemory), func(m *model) bool { return m.loaded == nil || !m.idle() })
	slices.SortStableFunc(idle, func(a, b *model) int { return a.used.Compare(b.used) })
	free := f.budget - f.used
	for _, m := range idle {
		if free >= bytes {
			break
		}
		free += m.bytes
		victims = append(victims, m)
	}
	return victims, free >= bytes
}

// load brings m into memory, whatever the budget. Like all that changes what is in memory, it is called under mu and lets go of
// it meanwhile.
func (f *fleet) load(m *model) error {
	m.loading = true
	f.used += m.bytes
	start := time.Now()
	f.began[m.name] = start
	f.mu.Unlock()
	l, err := m.opened()
	f.mu.Lock()
	delete(f.began, m.name)
	defer f.wake()
	m.loading, m.took = false, time.Since(start)
	if !m.ended {
		m.err, m.again, m.failed = err, retryFailed, time.Now()
	}
	if err != nil {
		f.used -= m.bytes
		return err
	}
	m.loaded, m.used = l, time.Now()
	f.inMemory = append(f.inMemory, m)
	f.tell(m.name, "loaded", m.took)
	f.log.Info("model loaded", "name", m.name, "took", m.took.Round(time.Millisecond), "bytes", m.bytes, "all_models", configs.Bytes(f.used).About())
	if m.ended { // it was found out meanwhile
		_ = f.unload(context.Background(), (*loaded).cut, m)
	}
	return nil
}

// hanging says which model's native call, or load, has not returned for longer than it can take.
func (f *fleet) hanging(load time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, began := range f.began {
		if took := time.Since(began); took > load {
			return fmt.Errorf("%w: model %s is loading for %v", loopctl.ErrStuck, name, took.Round(time.Second))
		}
	}
	for _, m := range f.inMemory {
		if m.loaded == nil {
			continue
		}
		if err := m.loaded.controller.Stuck(); err != nil {
			return fmt.Errorf("model %s: %w", m.name, err)
		}
	}
	return nil
}

// loadNow is load, for who does not hold mu.
func (f *fleet) loadNow(m *model) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.load(m)
}

// wake has everybody look again who waits under mu.
func (f *fleet) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// sleep lets go of mu until something changes, or ctx ends.
func (f *fleet) sleep(ctx context.Context) {
	changed := f.changed
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

// unload frees what of models is in memory, by its close or cut; from the first moment on nobody finds it there any more. It
// logs each error, too.
func (f *fleet) unload(ctx context.Context, free func(*loaded, context.Context) error, models ...*model) error {
	leaving := map[*model]*loaded{}
	for _, m := range models {
		leaving[m], m.loaded = m.loaded, nil
	}
	var errs []error
	for _, m := range models {
		if leaving[m] == nil {
			continue
		}
		f.mu.Unlock() // a controller that ends may call fellIdle
		err := free(leaving[m], ctx)
		f.mu.Lock()
		f.used -= m.bytes
		f.inMemory = slices.DeleteFunc(f.inMemory, func(o *model) bool { return o == m })
		f.wake()
		if err != nil {
			errs = append(errs, fmt.Errorf("model %s: %w", m.name, err))
			f.log.Error("model could not be closed", "name", m.name, "error", err)
			continue
		}
		f.tell(m.name, "unloaded", 0)
		f.log.Info("model unloaded", "name", m.name, "bytes", m.bytes, "all_models", configs.Bytes(f.used).About())
	}
	return errors.Join(errs...)
}

// retire takes no more requests for m after the grace, and unloads it when its last one has ended. Closing the fleet
// cuts it short.
func (f *fleet) retire(m *model) {
	inGrace, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	for inGrace.Err() == nil && !f.closed {
		f.sleep(inGrace)
	}
	m.end(errReplaced, readAgain)
	f.wake()
	for !f.closed && (m.loading || m.loaded != nil && !m.idle()) {
		f.sleep(context.Background())
	}
	if !f.closed {
		_ = f.unload(context.Background(), (*loaded).close, m)
	}
}

// condemn ends a model whose bundle is not what its manifest says: what it generates is cut short, and nothing is taken any
// more until a reload has made another model of it.
func (f *fleet) condemn(m *model, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.end(err, condemned)
	f.wake()
	_ = f.unload(context.Background(), (*loaded).cut, m)
}

// drop unloads m now. It is an error while somebody uses it.
func (f *fleet) drop(m *model) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.loaded != nil && !m.idle() {
		return fmt.Errorf("%w: model %s is generating: try again when it is idle", server.ErrModelBusy, m.name)
	}
	_ = f.unload(context.Background(), (*loaded).close, m) // the log says what went wrong: the model is not there
	return nil
}

// close ends what still generates, and frees everything. ctx bounds the wait for a native call.
func (f *fleet) close(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.tell = func(string, string, time.Duration) {} // the end of the process is no unloading
	f.wake()
	f.mu.Unlock()
	f.wg.Wait()
	f.mu.Lock()
	return f.unload(ctx, (*loaded).cut, slices.Clone(f.inMemory)...)
}
