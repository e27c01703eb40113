package loopctl_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/kv"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

var runs = flag.Int("runs", 10000, "random mixes that TestLaw plays")

var quiet = slog.New(slog.DiscardHandler)

// mix is one random run: who comes when, and in how little space.
type mix struct {
	limits loopctl.Capacity
	cfg    loopctl.Config
	reqs   []*loopctl.Request
	at     []int // tick of arrival
	cancel []int // tick of cancellation; 0: none
	wrap   int   // rows of a prompt that stay together where that matters
}

func randomMix(rng *rand.Rand) mix {
	upTo := func(n int) int { return 1 + rng.IntN(n) }
	m := mix{limits: loopctl.Capacity{
		MaxRows:  upTo(24),
		Latents:  upTo(40),
		PageSize: upTo(5),
		Context:  40,
		Vocab:    []int{3, 97}[rng.IntN(2)],
		Loops:    loopctl.LoopRange{Min: 1, Default: 3, Trained: 4, Max: 8},
	}}
	m.limits.Pages[loopctl.StageBlock] = 8 + rng.IntN(200)
	for _, s := range []loopctl.Stage{loopctl.StagePrelude, loopctl.StageCoda} {
		if rng.IntN(2) == 0 {
			m.limits.Pages[s] = 8 + rng.IntN(60)
		}
	}
	m.limits.KV.Planes = max(rng.IntN(8)-3, 0)
	if m.limits.Whole = rng.IntN(5) == 0; m.limits.Whole {
		m.limits.MaxRows, m.limits.Latents = m.limits.MaxRows+30, m.limits.Latents+60
		m.limits.Pages[loopctl.StageCoda] = 0
	}
	if m.limits.KV.Planes == 1 {
		m.limits.KV.Keep = kv.Keep(rng.IntN(3))
	}
	if l := &m.limits; l.KV.Keep != kv.KeepAny && !l.Whole && l.PageSize%2 == 0 { // no further draw
		l.Beyond, l.MaxRows, l.Latents = 30, l.MaxRows+30, l.Latents+30
	}
	m.cfg = loopctl.Config{
		MaxRunning: upTo(12), RowBudget: upTo(24), ChunkRows: upTo(12), WrapRows: upTo(8), StreamBuffer: upTo(8), QueueLimit: 100, Logger: quiet,
		ReserveTokens: rng.IntN(12) - 1, NoPrefixCache: rng.IntN(4) == 0, Scheduling: loopctl.Scheduling(rng.IntN(8) / 7),
	}
	m.wrap = loopctl.New(loopctltest.New(m.limits), m.cfg).WrapRows()
	m.cfg.ParkTime, m.cfg.Patience = time.Duration(upTo(30))*time.Millisecond, time.Duration(upTo(30))*time.Millisecond
	clients := upTo(4)
	seeds, priorities := 1+rng.IntN(1000), upTo(3)
	for i := range upTo(16) {
		r := &loopctl.Request{
			ID: fmt.Sprint("r", i), Seed: uint64(rng.IntN(seeds)), Loops: rng.IntN(9), MaxTokens: upTo(10), Priority: rng.IntN(priorities),
			Prompt: make([]int32, upTo(30)), Sampler: loopctltest.Greedy{},
		}
		r.Client, r.Weight = fmt.Sprint(rng.IntN(clients)), float64(rng.IntN(3))
		if rng.IntN(2) == 0 {
			r.Sampler = &shifting{}
		}
		if rng.IntN(4) == 0 { // an end that only the reader can see
			at, reason := int32(rng.IntN(4)), loopctl.FinishReason(1+rng.IntN(2))
			r.Ends = func(id int32, loops int, f loopctl.FinishReason) loopctl.FinishReason {
				if (id+int32(loops))%4 == at {
					return reason
				}
				return f
			}
		}
		if rng.IntN(2) == 0 {
			r.StopIDs = []int32{int32(rng.IntN(m.limits.Vocab))}
		}
		for j := range r.Prompt {
			r.Prompt[j] = int32(rng.IntN(m.limits.Vocab))
		}
		if i > 0 && rng.IntN(2) == 0 { // a prefix that others have
			copy(r.Prompt, m.reqs[rng.IntN(i)].Prompt[:])
		}
		depth(r, m.limits, rng)
		for at := 0; m.limits.KV.Planes > 0 && !m.limits.Whole && at+1 < len(r.Prompt) && rng.IntN(2) == 0; {
			at += 1 + rng.IntN(min(len(r.Prompt)-at-1, m.wrap))
			r.Cut = append(r.Cut, at)
		}
		if r.Draft == 0 && i%3 == 2 { // no further draw
			r.Draft = loopctl.DraftAuto
		}
		m.reqs = append(m.reqs, r)
		m.at = append(m.at, rng.IntN(30))
		m.cancel = append(m.cancel, 0)
		if rng.IntN(5) == 0 {
			m.cancel[i] = m.at[i] + rng.IntN(40)
		}
	}
	if n := len(m.reqs); n%4 == 3 { // no further draw: the mixes of the fuzzer's seeds stay as they are
		m.onTheirWay(loopctl.TrajectoryEven + loopctl.Trajectories(n/4%2))
	}
	return m
}

// onTheirWay makes the mix one of a model whose state depends on where each request is going.
func (m *mix) onTheirWay(kind loopctl.Trajectories) {
	m.limits.Trajectories = kind
	for i, r := range m.reqs {
		if r.Exit = (loopctl.ExitPolicy{}); kind == loopctl.TrajectoryAny {
			r.Replay = nil
		} else if len(r.Replay) > 0 { // the prompt has one target
			r.Replay[0] = cmp.Or(r.Loops, m.limits.Loops.Default)
		}
		for j := range r.Loops {
			if kind == loopctl.TrajectoryAny && i%3 > 0 {
				r.Trajectory = append(r.Trajectory, float64(1+(i+j)%3))
			}
		}
	}
}

// depth draws what a request says about its loops.
func depth(r *loopctl.Request, l loopctl.Capacity, rng *rand.Rand) {
	loops := r.Loops
	if loops == 0 {
		loops = l.Loops.Default
	}
	keeps := l.KV.Keep != kv.KeepAny && loops > 1
	switch rng.IntN(4) {
	case 0: // a fixed depth
	case 1:
		if l.KV.Planes == 0 && loops > 1 {
			r.Draft = 1 + rng.IntN(loops-1)
		}
	case 2:
		for range rng.IntN(6) {
			r.Replay = append(r.Replay, 1+rng.IntN(loops))
		}
		if keeps && len(r.Replay) > 0 {
			r.Replay[0] = loops
		}
	default:
		if keeps {
			return
		}
		r.Exit = loopctl.ExitPolicy{Kind: loopctl.ExitKind(rng.IntN(6)), MinLoops: rng.IntN(loops + 1), Agree: rng.IntN(3)}
		switch r.Exit.Kind {
		case loopctl.ExitDelta, loopctl.ExitGate:
			r.Exit.Threshold = 0.05 + rng.Float64()*0.8
		case loopctl.ExitKL, loopctl.ExitEntropy:
			r.Exit.Threshold = 0.001 + rng.Float64()*0.1
		case loopctl.ExitArgmax:
			r.Exit.Threshold = float64(1 + rng.IntN(3))
		}
	}
}

// play runs the mix by hand, tick by tick, and gives what each request's reader saw.
func (m mix) play(t *testing.T, rng *rand.Rand, seen coverage) {
	t.Helper()
	e := loopctltest.New(m.limits)
	book := &ledger{coverage: seen, by: map[loopctl.FinishReason]int{}}
	accepted := 0
	m.cfg.Observer = book
	now := time.Unix(0, 0)
	m.cfg.Now = func() time.Time { // each call takes its time, which cohorts look at
		now = now.Add(20 * time.Microsecond)
		return now
	}
	c := loopctl.New(e, m.cfg)
	streams := make([]*loopctl.Stream, len(m.reqs))
	got := make([][]int32, len(m.reqs))
	loops := make([][]int, len(m.reqs))
	if m.limits.Whole {
		seen["whole prompts"] += len(m.reqs)
	}
	last := make([]loopctl.Event, len(m.reqs))
	pending := 0
	for tick := 0; tick <= 70 || pending > 0; tick++ {
		for i, r := range m.reqs {
			if m.at[i] == tick {
				s, err := c.Submit(r)
				if err != nil {
					if !errors.Is(err, loopctl.ErrPagesExhausted) {
						t.Fatalf("submit: %v", err)
					}
					continue
				}
				streams[i] = s[0]
				pending++
				accepted++
			}
			if m.cancel[i] == tick && streams[i] != nil {
				streams[i].Cancel()
			}
		}
		c.Turn()
		now = now.Add(time.Millisecond)
		if err := c.Check(); err != nil {
			t.Fatalf("after tick %d: %v", tick, err)
		}
		for i, s := range streams {
			for s != nil && last[i].Finish == loopctl.FinishNone && rng.IntN(3) > 0 { // some readers are slow
				ev, ok := tryNext(s)
				if !ok {
					break
				}
				if ev.Token.ID >= 0 {
					got[i], loops[i] = append(got[i], ev.Token.ID), append(loops[i], ev.Loops)
				}
				if last[i] = ev; ev.Finish != loopctl.FinishNone {
					pending--
				}
			}
		}
		if tick > 20000 {
			t.Fatalf("%d requests hang; %+v", pending, c.Snapshot())
		}
	}
	for _, err := range e.Breaches {
		t.Fatal(err)
	}
	book.check(t, accepted)
	for i, r := range m.reqs {
		if streams[i] == nil {
			continue
		}
		checkAccount(t, r, last[i], loops[i])
		alone := expect(m.limits, r, m.wrap)
		if last[i].Finish == loopctl.FinishCancelled {
			n := min(len(got[i]), len(alone.Tokens))
			alone.Tokens, alone.Loops = alone.Tokens[:n], alone.Loops[:n]
		}
		if !slices.Equal(got[i], alone.Tokens) || !slices.Equal(loops[i], alone.Loops) {
			t.Fatalf("%s (%d loops, %+v, replay %v, draft %d, %+v, cut %v): tokens %v in the mix, %v alone; loops %v, %v (end: %v %v)", r.ID, r.Loops,
				r.Exit, r.Replay, r.Draft, m.limits.KV, r.Cut, got[i], alone.Tokens, loops[i], alone.Loops, last[i].Finish, last[i].Err)
		}
	}
	if err := c.CheckEmpty(); err != nil {
		t.Fatal(err)
	}
}

// coverage counts what mixes made happen.
type coverage map[string]int

func (v coverage) Tick(t *loopctl.TickStats) {
	for name, n := range map[string]int{
		"preemptions": t.Preempted, "drafts": t.Drafted, "accepted drafts": t.Accepted, "cached tokens": t.Cached, "fills": t.Fills,
		"probes": t.Probes, "parked readers": t.Parked, "given back by slow readers": t.Released, "given to another client": t.Yielded, "passed": t.Passed,
	} {
		v[name] += n
	}
	depths := 0
	for _, n := range t.ByDepth {
		depths += min(n, 1)
	}
	if depths > 1 {
		v["calls of mixed depth"]++
	}
}

func (v coverage) Finished(_ *loopctl.Request, last loopctl.Event) {
	if last.Stats.LoopsSaved > 0 {
		v["early exits"]++
	}
}

var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// tryNext is Next without waiting.
func tryNext(s *loopctl.Stream) (loopctl.Event, bool) {
	ev, err := s.Next(ended)
	return ev, err == nil
}

// TestLaw is the law above all: a request's tokens are the same alone or in any mix of depths, however little memory
// there is, whoever is cancelled or preempted, however slowly the readers read, whatever the policies, the KV planes,
// the guesses and what others have left in the prefix cache.
func TestLaw(t *testing.T) {
	n := *runs
	if testing.Short() {
		n = min(n, 500)
	}
	all := coverage{}
	for seed := range n {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		m := randomMix(rng)
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { m.play(t, rng, all) }) {
			return
		}
	}
	t.Logf("%d mixes: %v", n, all)
	for _, name := range []string{
		"preemptions", "drafts", "accepted drafts", "cached tokens", "fills", "probes", "early exits", "parked readers", "recomputed rows", "calls of mixed depth", "whole prompts",
		"given back by slow readers", "given to another client", "passed",
	} {
		if all[name] == 0 {
			t.Errorf("no %s in %d mixes: the law was not tried on them", name, n)
		}
	}
}

// FuzzLaw looks for the mix that breaks it.
func FuzzLaw(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Add(uint64(19161), uint64(1)) // a right guess that was through the loop before its predecessor was through the coda
	f.Fuzz(func(t *testing.T, a, b uint64) {
		rng := rand.New(rand.NewPCG(a, b))
		randomMix(rng).play(t, rng, coverage{})
	})
}

// drainAll reads a stream to its end.
func drainAll(t *testing.T, s *loopctl.Stream) (ids []int32, last loopctl.Event) {
	t.Helper()
	for {
		ev, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return ids, last
		}
		if err != nil {
			t.Fatal(err)
		}
		if last = ev; ev.Token.ID >= 0 {
			ids = append(ids, ev.Token.ID)
		}
	}
}
