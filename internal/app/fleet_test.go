package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/generate"
)

// garage is a fleet of scripted engines, each of which takes 10 bytes and a second to load.
type garage struct {
	t      *testing.T
	fleet  *fleet
	mu     sync.Mutex
	events []string
}

func newGarage(t *testing.T, budget int64) *garage {
	g := &garage{t: t}
	g.fleet = newFleet(budget, 30*time.Second, 4, slog.New(slog.DiscardHandler), func(name, event string, _ time.Duration) { g.note(event + " " + name) })
	return g
}

func (g *garage) note(event string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = append(g.events, event)
}

func (g *garage) expect(want ...string) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.events, want) {
		g.t.Errorf("got  %v\nwant %v", g.events, want)
	}
	g.events = nil
}

func (g *garage) model(name string) *model {
	m := &model{name: name, fleet: g.fleet, bytes: 10}
	m.open = func() (*loaded, error) {
		time.Sleep(time.Second)
		if name == "broken" {
			return nil, errors.New("no such graph")
		}
		c := loopctl.New(loopctltest.New(loopctl.Capacity{
			MaxRows: 16, Latents: 16, PageSize: 4, Pages: [3]int{0, 64, 0}, Context: 64, Vocab: 256, Loops: loopctl.LoopRange{Min: 1, Default: 2, Trained: 2, Max: 4},
		}), loopctl.Config{StreamBuffer: 1, Logger: slog.New(slog.DiscardHandler), Idle: g.fleet.fellIdle})
		c.Start()
		return &loaded{controller: c, free: func() error { g.note("free " + name); return nil }}, nil
	}
	return m
}

// ask submits a request and does not read its answer, which holds the model.
func ask(ctx context.Context, m *model, tokens int) (*loopctl.Stream, error) {
	s, err := m.Submit(&loopctl.Request{Context: ctx, Prompt: []int32{1, 2}, MaxTokens: tokens, Loops: 2, Sampler: loopctltest.Greedy{}})
	if err != nil {
		return nil, err
	}
	return s[0], nil
}

func read(t *testing.T, s *loopctl.Stream) {
	t.Helper()
	for {
		e, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e.Finish != loopctl.FinishNone {
			if e.Finish != loopctl.FinishLength {
				t.Errorf("ended with %v %v", e.Finish, e.Err)
			}
			return
		}
	}
}

func (g *garage) use(m *model) {
	g.t.Helper()
	s, err := ask(g.t.Context(), m, 3)
	if err != nil {
		g.t.Fatal(err)
	}
	read(g.t, s)
}

// Room for two: the third takes the place of the one that was used longest ago.
func TestTheLongestUnusedMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarage(t, 25)
		a, b, c := g.model("a"), g.model("b"), g.model("c")
		g.use(a)
		g.use(b)
		time.Sleep(time.Second)
		g.use(a)
		g.use(c)
		g.expect("loaded a", "loaded b", "free b", "unloaded b", "loaded c")
		if loaded, bytes := b.Loaded(); loaded || bytes != 10 || g.fleet.used != 20 {
			t.Errorf("%v %d %d", loaded, bytes, g.fleet.used)
		}
		g.use(b)
		g.expect("free a", "unloaded a", "loaded b")
		if err := g.fleet.close(t.Context()); err != nil {
			t.Error(err)
		}
		g.expect("free c", "free b")
	})
}

// Requests that come while a model loads wait for the same load.
func TestOneLoadForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarage(t, 0)
		a := g.model("a")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { g.use(a) })
		}
		synctest.Wait()
		if _, err := ask(t.Context(), a, 1); !errors.Is(err, errCrowded) || !errors.Is(err, generate.ErrModelUnavailable) {
			t.Errorf("a fifth waited: %v", err)
		}
		wg.Wait()
		g.expect("loaded a")
		if err := g.fleet.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A model that generates is not taken away. Who wants another waits, and is told when it takes too long.
func TestWhatIsUsedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarage(t, 15)
		a, b := g.model("a"), g.model("b")
		open, err := ask(t.Context(), a, 20)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := ask(t.Context(), b, 1); !errors.Is(err, errBusy) || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := g.fleet.drop(a); !errors.Is(err, server.ErrModelBusy) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("client is gone")
		time.AfterFunc(time.Second, func() { cancel(gone) })
		if _, err := ask(ctx, b, 1); !errors.Is(err, gone) {
			t.Error(err)
		}
		done := make(chan error)
		go func() {
			s, err := ask(t.Context(), b, 1)
			if err == nil {
				read(t, s)
			}
			done <- err
		}()
		time.Sleep(5 * time.Second)
		start = time.Now()
		read(t, open) // the end of the stream that held a
		if err := <-done; err != nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v: a load takes a second, and nothing waits before it", err, time.Since(start))
		}
		g.expect("loaded a", "free a", "unloaded a", "loaded b")
		if err := g.fleet.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A bundle that cannot be opened is not tried again by every request.
func TestBrokenModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarage(t, 0)
		m := g.model("broken")
		for i, want := range []time.Duration{time.Second, 0, 0} {
			start := time.Now()
			_, err := ask(t.Context(), m, 1)
			if !errors.Is(err, generate.ErrModelUnavailable) || time.Since(start) != want {
				t.Errorf("%d: %v after %v", i, err, time.Since(start))
			}
		}
		time.Sleep(retryFailed)
		_, _ = ask(t.Context(), m, 1)
		g.expect("failed broken", "failed broken")
		if err := g.fleet.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A replaced model ends what it has begun, and takes nothing new after the grace.
func TestRetire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarage(t, 0)
		m := g.model("a")
		open, err := ask(t.Context(), m, 20)
		if err != nil {
			t.Fatal(err)
		}
		g.fleet.wg.Go(func() { g.fleet.retire(m) })
		time.Sleep(grace / 2)
		g.use(m) // a request that had found it before
		time.Sleep(grace)
		if _, err := ask(t.Context(), m, 1); !errors.Is(err, errReplaced) {
			t.Error(err)
		}
		g.expect("loaded a")
		read(t, open)
		synctest.Wait()
		g.expect("free a", "unloaded a")
		if err := g.fleet.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Many clients, more models than room: every request ends in tokens or in an error, and the accounts are right.
func TestFleetUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarage(t, 30)
		g.fleet.waiters = 100
		var models []*model
		for i := range 8 {
			models = append(models, g.model(fmt.Sprint(i)))
		}
		var wg sync.WaitGroup
		answered := make([]int, 32)
		for i := range answered {
			wg.Go(func() {
				for j := range 12 {
					s, err := ask(t.Context(), models[(i*7+j*(1+i%3))%8], 1+i%5)
					if err == nil {
						read(t, s)
						answered[i]++
					} else if !errors.Is(err, generate.ErrModelUnavailable) {
						t.Error(err)
					}
					if g.fleet.usedNow() > 30 {
						t.Errorf("%d bytes in use", g.fleet.usedNow())
					}
				}
			})
		}
		wg.Wait()
		total := 0
		for _, n := range answered {
			total += n
		}
		if total < 300 {
			t.Errorf("only %d of 384 answered", total)
		}
		if err := g.fleet.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func (f *fleet) usedNow() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used
}

// A model whose bundle is found out takes nothing more, and leaves memory: while it generates, and while it loads.
func TestCondemned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarage(t, 0)
		found := errors.New("not its hash")
		a, b := g.model("a"), g.model("b")
		open, err := ask(t.Context(), a, 20)
		if err != nil {
			t.Fatal(err)
		}
		g.fleet.condemn(a, found)
		for {
			e, err := open.Next(t.Context())
			if err != nil || e.Finish != loopctl.FinishNone {
				if e.Finish == loopctl.FinishLength {
					t.Error("it went on to its end")
				}
				break
			}
		}
		waiting := make(chan error)
		go func() {
			_, err := ask(t.Context(), b, 1)
			waiting <- err
		}()
		time.Sleep(time.Second / 2) // of the second that it loads
		g.fleet.condemn(b, found)
		if err := <-waiting; !errors.Is(err, found) {
			t.Errorf("who waited was told %v", err)
		}
		time.Sleep(time.Second)
		for _, m := range []*model{a, b} {
			if _, err := ask(t.Context(), m, 1); !errors.Is(err, found) || !errors.Is(err, generate.ErrModelUnavailable) {
				t.Errorf("%s: %v", m.name, err)
			}
		}
		g.expect("loaded a", "free a", "unloaded a", "loaded b", "free b", "unloaded b")
		if err := g.fleet.close(t.Context()); err != nil || g.fleet.used != 0 {
			t.Errorf("%v, %d bytes in use", err, g.fleet.used)
		}
	})
}
