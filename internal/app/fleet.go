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
	changed  chan struct{} // closed, and made anew, when a waiter should look again
	wanted   []*model      // first come first
	inMemory []*model      // in memory, or being unloaded
	used     int64         // by what is loaded, being loaded and being unloaded
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
	return &fleet{budget: budget, wait: wait, waiters: waiters, log: log, tell: tell, changed: make(chan struct{})}
}

// acquire returns what m has in memory and counts a user in, until release. It waits for it to be loaded.
func (f *fleet) acquire(ctx context.Context, m *model) (*loaded, error) {
	timer := time.NewTimer(f.wait)
	defer timer.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	m.waiting++
	defer func() {
		if m.waiting--; m.waiting == 0 && m.loaded == nil {
			f.wake() // nobody wants it any more
		}
	}()
	for {
		switch {
		case f.closed || m.retired:
			return nil, &unavailable{m.name, errReplaced, 200 * time.Millisecond}
		case m.broken:
			return nil, &unavailable{m.name, m.err, time.Minute}
		case m.loaded != nil:
			m.users++
			m.used = time.Now()
			return m.loaded, nil
		case m.err != nil && time.Since(m.failed) < retryFailed:
			return nil, &unavailable{m.name, m.err, retryFailed}
		case m.waiting > f.waiters:
			return nil, &unavailable{m.name, errCrowded, max(m.took, time.Second)}
		}
		f.want(m)
		changed := f.changed
		f.mu.Unlock()
		var over error
		select {
		case <-changed:
		case <-timer.C:
			over = errSlow
		case <-ctx.Done():
			over = context.Cause(ctx)
		}
		f.mu.Lock()
		switch {
		case over == nil || m.loaded != nil: // it came at the last moment
		case errors.Is(over, errSlow):
			if !m.loading {
				over = errBusy
			}
			return nil, &unavailable{m.name, over, max(m.took, time.Second)}
		default:
			return nil, over
		}
	}
}

// retryFailed is for how long a bundle that could not be opened is not tried again.
const retryFailed = 5 * time.Second

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
		f.wanted = slices.DeleteFunc(f.wanted, func(m *model) bool { return m.waiting == 0 || m.retired || m.broken || m.loaded != nil })
		if len(f.wanted) == 0 || f.closed {
			f.wanted, f.working = nil, false
			return
		}
		m, victims := f.choose()
		if m == nil { // all that could make room is in use
			f.sleep(nil)
			continue
		}
		m.loading = true
		leaving := make([]*loaded, len(victims))
		for i, v := range victims {
			leaving[i], v.loaded = v.loaded, nil
		}
		f.mu.Unlock()
		for i, v := range victims {
			f.unload(v, leaving[i], leaving[i].close)
		}
		err := f.load(m) // nobody else loads, so the room is still there
		f.mu.Lock()
		m.loading = false
		if !m.broken {
			m.err, m.failed = err, time.Now()
		}
		if err != nil {
			f.tell(m.name, "failed", m.took)
			f.log.Error("model could not be loaded", "name", m.name, "error", err)
		}
		f.wake()
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

// load brings m into memory, whatever the budget.
func (f *fleet) load(m *model) error {
	f.mu.Lock()
	f.used += m.bytes
	f.mu.Unlock()
	start := time.Now()
	l, err := m.opened()
	f.mu.Lock()
	defer f.mu.Unlock()
	m.took = time.Since(start)
	if err != nil {
		f.used -= m.bytes
		return err
	}
	f.inMemory = append(f.inMemory, m)
	f.tell(m.name, "loaded", m.took)
	f.log.Info("model loaded", "name", m.name, "took", m.took.Round(time.Millisecond), "bytes", m.bytes, "all_models", configs.Bytes(f.used).About())
	if m.broken { // it was found out meanwhile
		f.wg.Go(func() { f.unload(m, l, l.cut) })
		return nil
	}
	m.loaded, m.used = l, time.Now()
	return nil
}

// wake has everybody look again who waits under mu.
func (f *fleet) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// sleep lets go of mu until something changes. It returns false where time is over first.
func (f *fleet) sleep(over <-chan time.Time) bool {
	changed := f.changed
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-changed:
		return true
	case <-over:
		return false
	}
}

// unload frees l by its close or cut. It is called without mu, after m.loaded was taken away.
func (f *fleet) unload(m *model, l *loaded, free func(context.Context) error) {
	err := free(context.Background())
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.wake()
	f.used -= m.bytes
	f.inMemory = slices.DeleteFunc(f.inMemory, func(o *model) bool { return o == m })
	if err != nil {
		f.log.Error("model could not be closed", "name", m.name, "error", err)
		return
	}
	f.tell(m.name, "unloaded", 0)
	f.log.Info("model unloaded", "name", m.name, "bytes", m.bytes, "all_models", configs.Bytes(f.used).About())
}

// retire takes no more requests for m after the grace, and unloads it when its last one has ended. Closing the fleet
// cuts it short.
func (f *fleet) retire(m *model) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for inGrace := true; inGrace && !f.closed; {
		inGrace = f.sleep(timer.C)
	}
	m.retired = true
	f.wake()
	for !f.closed && (m.loading || m.loaded != nil && !m.idle()) {
		f.sleep(nil)
	}
	if l := m.loaded; l != nil && !f.closed {
		m.loaded = nil
		f.mu.Unlock()
		f.unload(m, l, l.close)
		f.mu.Lock()
	}
}

// condemn ends a model whose bundle is not what its manifest says: what it generates is cut short, and nothing is taken any
// more until a reload has made another model of it.
func (f *fleet) condemn(m *model, err error) {
	f.mu.Lock()
	m.broken, m.err = true, err
	l := m.loaded
	m.loaded = nil
	f.wake()
	f.mu.Unlock()
	if l != nil {
		f.unload(m, l, l.cut)
	}
}

// drop unloads m now. It is an error while somebody uses it.
func (f *fleet) drop(m *model) error {
	f.mu.Lock()
	l := m.loaded
	if l != nil && !m.idle() {
		f.mu.Unlock()
		return fmt.Errorf("%w: model %s is generating: try again when it is idle", server.ErrModelBusy, m.name)
	}
	m.loaded = nil
	f.mu.Unlock()
	if l != nil {
		f.unload(m, l, l.close)
	}
	return nil
}

// close ends what still generates, and frees everything. ctx bounds the wait for a native call.
func (f *fleet) close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	f.wake()
	f.mu.Unlock()
	f.wg.Wait()
	f.mu.Lock()
	leaving := map[*model]*loaded{}
	for _, m := range f.inMemory {
		if m.loaded != nil {
			leaving[m], m.loaded = m.loaded, nil
		}
	}
	f.inMemory = nil
	f.mu.Unlock()
	var errs []error
	for m, l := range leaving { // without mu: a controller that ends may call fellIdle
		if err := l.cut(ctx); err != nil {
			errs = append(errs, fmt.Errorf("model %s: %w", m.name, err))
		}
	}
	return errors.Join(errs...)
}
