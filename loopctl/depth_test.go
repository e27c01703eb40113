package loopctl_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

func roomy() loopctl.Capacity {
	l := loopctl.Capacity{MaxRows: 16, Latents: 64, PageSize: 4, Context: 64, Vocab: 50, Loops: loopctl.LoopRange{Min: 1, Default: 4, Trained: 4, Max: 8}}
	l.Pages[loopctl.StageBlock] = 400
	return l
}

// runOut ticks until nothing runs.
func runOut(c *loopctl.Controller) (ticks int) {
	for c.Turn() {
		ticks++
	}
	return ticks
}

func submit(t *testing.T, c *loopctl.Controller, r *loopctl.Request) *loopctl.Stream {
	t.Helper()
	if r.Sampler == nil {
		r.Sampler = loopctltest.Greedy{}
	}
	s, err := c.Submit(r)
	if err != nil {
		t.Fatal(err)
	}
	return s[0]
}

func prompt(n int) []int32 {
	p := make([]int32, n)
	for i := range p {
		p[i] = int32(i * 7 % 50)
	}
	return p
}

type scores map[int]int

func (s scores) Score(position int, logits []float32) { s[position] = loopctl.Argmax(logits) }

// A scorer sees each prompt position but the last, in order, once, with the logits that generation would have there.
func TestScorer(t *testing.T) {
	c := loopctl.New(loopctltest.New(roomy()), loopctl.Config{Logger: quiet, ChunkRows: 3, RowBudget: 6})
	seen := scores{}
	p := prompt(11)
	s := submit(t, c, &loopctl.Request{Prompt: p, Loops: 3, Scorer: seen})
	runOut(c)
	ids, last := drainAll(t, s)
	if len(ids) != 0 || last.Finish != loopctl.FinishLength || len(seen) != len(p)-1 {
		t.Fatalf("ids %v, end %v, %d positions", ids, last.Finish, len(seen))
	}
	for i := range len(p) - 1 {
		want := expect(roomy(), &loopctl.Request{Prompt: p[:i+1], Loops: 3, MaxTokens: 1}, 1).Tokens[0]
		if seen[i] != int(want) {
			t.Errorf("position %d: %d, alone %d", i, seen[i], want)
		}
	}
}

// So it does where the last row leaves early, by its logits, and the request ends with it.
func TestScorerUnderProbes(t *testing.T) {
	l := roomy()
	l.Vocab = 3
	c := loopctl.New(loopctltest.New(l), loopctl.Config{Logger: quiet})
	seen := scores{}
	p := make([]int32, 9)
	s := submit(t, c, &loopctl.Request{Prompt: p, Loops: 8, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitArgmax, Threshold: 1}, Scorer: seen})
	runOut(c)
	drainAll(t, s)
	for i := range len(p) - 1 {
		want := expect(l, &loopctl.Request{Prompt: p[:i+1], Loops: 8, MaxTokens: 1}, 1).Tokens[0]
		if got, ok := seen[i]; !ok || got != int(want) {
			t.Errorf("position %d: %d (seen: %v), alone %d", i, got, ok, want)
		}
	}
}

// The lens tells what each loop would have said: the same as requests with so many loops say.
func TestLens(t *testing.T) {
	c := loopctl.New(loopctltest.New(roomy()), loopctl.Config{Logger: quiet})
	r := &loopctl.Request{Prompt: prompt(6), Loops: 5, MaxTokens: 1, Lens: 3}
	s := submit(t, c, r)
	runOut(c)
	_, last := drainAll(t, s)
	if len(last.Lens) != 5 {
		t.Fatalf("%d views, want one for each of 5 loops", len(last.Lens))
	}
	for i, v := range last.Lens {
		want := expect(roomy(), &loopctl.Request{Prompt: r.Prompt, Loops: i + 1, MaxTokens: 1}, 1).Tokens[0]
		if v.Loop != i+1 || len(v.Top) != 3 || v.Top[0].ID != want || v.Top[0].Logprob >= 0 || v.Entropy <= 0 || v.Entropy > float32(math.Log(50)) {
			t.Errorf("view %+v, want token %d after loop %d", v, want, i+1)
		}
	}
}

// Every prompt row's latent is shown once and in order, also where rows leave early: by their own numbers or, the last
// one alone, by its logits.
func TestPool(t *testing.T) {
	for _, exit := range []loopctl.ExitPolicy{{}, {Kind: loopctl.ExitDelta, Threshold: 0.4}, {Kind: loopctl.ExitArgmax, Threshold: 1}} {
		l := roomy()
		l.Vocab = 3 // the same token often
		c := loopctl.New(loopctltest.New(l), loopctl.Config{Logger: quiet, ChunkRows: 4})
		var seen []int
		r := &loopctl.Request{Prompt: make([]int32, 7), Loops: 8, Exit: exit, OnLatent: func(p int, h []float32) {
			if len(h) == 1 && h[0] > 0 {
				seen = append(seen, p)
			}
		}}
		s := submit(t, c, r)
		runOut(c)
		drainAll(t, s)
		if want := []int{0, 1, 2, 3, 4, 5, 6}; !slices.Equal(seen, want) {
			t.Errorf("%s: positions %v, want %v", exit.Kind, seen, want)
		}
	}
}

// A deadline ends a request, running or waiting, and gives back what it held.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := started(t, loopctl.Config{MaxRunning: 1, Logger: quiet}, slow)
		at := time.Now().Add(10 * time.Second)
		a := submit(t, c, &loopctl.Request{Prompt: prompt(3), Loops: 2, MaxTokens: 25, Deadline: at})
		b := submit(t, c, &loopctl.Request{Prompt: prompt(3), Loops: 2, MaxTokens: 25, Deadline: at})
		for _, s := range []*loopctl.Stream{a, b} {
			_, last := drainAll(t, s)
			if !errors.Is(last.Err, loopctl.ErrDeadline) || time.Since(at) > 2*time.Second {
				t.Errorf("%v, %v after the deadline", last.Err, time.Since(at))
			}
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Elastic requests get fewer loops in the declared steps while others wait, and say so; rigid ones never do.
func TestElastic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := started(t, loopctl.Config{MaxRunning: 1, Logger: quiet, Elastic: loopctl.Elastic{After: 60 * time.Second, Steps: []float64{1, 0.5, 0.25}}}, slow)
		var streams []*loopctl.Stream
		for i := range 12 {
			streams = append(streams, submit(t, c, &loopctl.Request{
				Prompt: prompt(3), Loops: 8, MaxTokens: 4, Elastic: i != 3, Exit: loopctl.ExitPolicy{MinLoops: 3},
			}))
		}
		var granted []int
		for _, s := range streams {
			_, last := drainAll(t, s)
			granted = append(granted, last.Stats.LoopsGranted)
			if last.Loops != last.Stats.LoopsGranted {
				t.Errorf("ran %d loops, granted %d", last.Loops, last.Stats.LoopsGranted)
			}
		}
		if granted[3] != 8 || !slices.Contains(granted, 4) || !slices.Contains(granted, 3) || granted[len(granted)-1] != 8 {
			t.Errorf("granted %v: want 8, 4 and 3 (min_loops), 8 for the rigid one and for the last, behind which nobody waits", granted)
		}
		s := submit(t, c, &loopctl.Request{Prompt: prompt(3), Loops: 8, MaxTokens: 4, Elastic: true, TargetITL: 5 * time.Second})
		if _, last := drainAll(t, s); last.Stats.LoopsGranted >= 8 || last.Stats.LoopsGranted < 3 {
			t.Errorf("a target of 5 s a token at 1 s a loop: %d loops granted", last.Stats.LoopsGranted)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A second request with the same beginning takes its pages from the cache, at its own or a lower depth; another salt, a
// greater depth or NoCache does not; and what nobody uses gives way to who needs it.
func TestPrefixCache(t *testing.T) {
	c := loopctl.New(loopctltest.New(roomy()), loopctl.Config{Logger: quiet})
	ask := func(r loopctl.Request) *loopctl.Stats {
		t.Helper()
		r.Prompt, r.MaxTokens = prompt(14), 3
		s := submit(t, c, &r)
		runOut(c)
		ids, last := drainAll(t, s)
		if want := expect(roomy(), &r, 1).Tokens; !slices.Equal(ids, want) {
			t.Errorf("tokens %v, want %v", ids, want)
		}
		if err := c.CheckEmpty(); err != nil {
			t.Fatal(err)
		}
		return last.Stats
	}
	for i, q := range []struct {
		r    loopctl.Request
		want int
	}{
		{loopctl.Request{Loops: 4}, 0},
		{loopctl.Request{Loops: 4}, 12},
		{loopctl.Request{Loops: 2}, 12},
		{loopctl.Request{Loops: 4, NoCache: true}, 0},
		{loopctl.Request{Loops: 4, CacheSalt: "other"}, 0},
		{loopctl.Request{Loops: 4, Seed: 1}, 0}, // the initial state depends on it
		{loopctl.Request{Loops: 6}, 0},
		{loopctl.Request{Loops: 6}, 12}, // the deeper pages took the place of the others
		{loopctl.Request{Loops: 4}, 12},
		{loopctl.Request{Loops: 6, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.4}}, 0},
		{loopctl.Request{Loops: 6, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.4}}, 12},
		{loopctl.Request{Loops: 6, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitArgmax, Threshold: 1}}, 12}, // its prompt does all loops
	} {
		if got := ask(q.r).CachedTokens; got != q.want {
			t.Errorf("request %d: %d cached tokens, want %d", i, got, q.want)
		}
	}
	if s := c.Snapshot(); s.PagesCached[loopctl.StageBlock] == 0 || s.PrefixHits != 12*6 {
		t.Errorf("%+v", s)
	}
}

// A request of higher rank takes the place of one of lower rank, which goes on later with the same tokens.
func TestPriority(t *testing.T) {
	c := loopctl.New(loopctltest.New(roomy()), loopctl.Config{Logger: quiet, MaxRunning: 1})
	low := submit(t, c, &loopctl.Request{ID: "low", Prompt: prompt(5), Loops: 3, MaxTokens: 6, Priority: 2})
	for range 7 {
		c.Turn()
	}
	high := submit(t, c, &loopctl.Request{ID: "high", Prompt: prompt(4), Loops: 3, MaxTokens: 2, Priority: 1})
	runOut(c)
	_, first := drainAll(t, high)
	ids, last := drainAll(t, low)
	if last.Stats.Preemptions != 1 || first.Stats.Finished.After(last.Stats.Finished) {
		t.Errorf("low: %+v, high: %+v", *last.Stats, *first.Stats)
	}
	if want := expect(roomy(), &loopctl.Request{Prompt: prompt(5), Loops: 3, MaxTokens: 6}, 1).Tokens; !slices.Equal(ids, want) {
		t.Errorf("tokens %v, want %v", ids, want)
	}
}

// With guesses that are right every token takes Draft ticks instead of Loops.
func TestDraftPays(t *testing.T) {
	l := roomy()
	l.Vocab = 1 // every guess is right
	ticks := func(draft int) int {
		c := loopctl.New(loopctltest.New(l), loopctl.Config{Logger: quiet})
		s := submit(t, c, &loopctl.Request{Prompt: make([]int32, 4), Loops: 8, MaxTokens: 20, Draft: draft})
		n := runOut(c)
		_, last := drainAll(t, s)
		if draft > 0 && (last.Stats.Accepted != last.Stats.Drafted || last.Stats.Accepted != 18) {
			t.Errorf("drafted %d, accepted %d", last.Stats.Drafted, last.Stats.Accepted)
		}
		return n
	}
	plain, drafted := ticks(0), ticks(2)
	if plain != 8*20 || drafted != 8+8+18*2 {
		t.Errorf("%d ticks without, %d with guesses after 2 loops", plain, drafted)
	}
}

// A fill that fails ends those whose rows it copies, and nobody else.
func TestFailedFill(t *testing.T) {
	e := loopctltest.New(roomy())
	e.FillFault = errInjected
	c := loopctl.New(e, loopctl.Config{Logger: quiet})
	early := &loopctl.Request{Prompt: prompt(5), Loops: 6, MaxTokens: 4, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.4}}
	never := &loopctl.Request{Prompt: prompt(5), Loops: 6, MaxTokens: 4, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 1e-9, MinLoops: 6}}
	a, b := submit(t, c, early), submit(t, c, never)
	runOut(c)
	if _, last := drainAll(t, a); !errors.Is(last.Err, errInjected) || !errors.Is(last.Err, loopctl.ErrEngine) {
		t.Errorf("early: %v %v", last.Finish, last.Err)
	}
	ids, last := drainAll(t, b)
	if want := expect(roomy(), never, 1).Tokens; last.Err != nil || !slices.Equal(ids, want) {
		t.Errorf("never: %v, %v, want %v", ids, last.Err, want)
	}
	if err := c.CheckEmpty(); err != nil {
		t.Error(err)
	}
}

// An inconsistent accounting is logged and reset, and the next request is served.
func TestAudit(t *testing.T) {
	var log strings.Builder
	c := loopctl.New(loopctltest.New(roomy()), loopctl.Config{Logger: logTo(&log)})
	c.Steal()
	c.Turn()
	c.Audit()
	if s := c.Snapshot(); s.Mismatches != 1 || !strings.Contains(log.String(), "page accounting is inconsistent") {
		t.Errorf("%+v; log: %s", s, log.String())
	}
	if err := c.CheckEmpty(); err != nil {
		t.Error(err)
	}
	s := submit(t, c, &loopctl.Request{Prompt: prompt(3), Loops: 2, MaxTokens: 2})
	runOut(c)
	if ids, _ := drainAll(t, s); len(ids) != 2 {
		t.Errorf("tokens %v", ids)
	}
}

func TestDepthRefusals(t *testing.T) {
	l := roomy()
	c := loopctl.New(loopctltest.New(l), loopctl.Config{Logger: quiet})
	l.KV.Planes = 1
	latest := loopctl.New(loopctltest.New(l), loopctl.Config{Logger: quiet})
	for _, q := range []struct {
		c     *loopctl.Controller
		field string
		r     loopctl.Request
	}{
		{c, "exit_policy", loopctl.Request{Exit: loopctl.ExitPolicy{Kind: 99}}},
		{c, "exit_threshold", loopctl.Request{Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: -1}}},
		{c, "exit_threshold", loopctl.Request{Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: math.NaN()}}},
		{c, "min_loops", loopctl.Request{Loops: 4, Exit: loopctl.ExitPolicy{MinLoops: 5}}},
		{c, "replay_loops", loopctl.Request{Loops: 4, Replay: []int{4, 5}}},
		{c, "replay_loops", loopctl.Request{Loops: 4, Replay: []int{4}, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta}}},
		{c, "draft_loops", loopctl.Request{Loops: 4, Draft: 4}},
		{c, "draft_loops", loopctl.Request{Loops: 4, Draft: 1, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitGate}}},
		{c, "draft_loops", loopctl.Request{Loops: 4, Draft: 1, Lens: 2}},
		{latest, "draft_loops", loopctl.Request{Loops: 4, Draft: 1}},
		{c, "return_lens", loopctl.Request{Lens: 51}},
		{c, "max_tokens", loopctl.Request{MaxTokens: -1}},
	} {
		q.r.Prompt, q.r.Sampler = prompt(2), loopctltest.Greedy{}
		if q.r.MaxTokens == 0 {
			q.r.MaxTokens = 3
		}
		_, err := q.c.Submit(&q.r)
		var field *loopctl.FieldError
		if !errors.As(err, &field) || field.Field != q.field {
			t.Errorf("%s: %v", q.field, fmt.Sprint(err))
		}
	}
}

func logTo(b *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
