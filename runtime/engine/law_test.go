//go:build cgo

package engine_test

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/runtime/sampler"
)

// adder is the model that ships with the repository.
const adder = "../../models/adder"

// player is one request of a mix, and what came of it.
type player struct {
	prompt      []int32
	loops, most int
	stop        []int32
	sampling    sampler.Params
	at, cancel  int // tick of arrival; of cancellation, 0: none
	exit        loopctl.ExitPolicy
	draft, rank int // loops before a guess; priority

	stream *loopctl.Stream
	seen   *recorder
	tokens []int32
	depths []int // loops of each token
	last   loopctl.Event
}

// recorder is a Sampler that notes how sure each choice was: the best logit, and how far the second is behind it. It keeps
// a sum of the bits of all logits, too.
type recorder struct {
	loopctl.Sampler
	best, margin []float64
	bits         []uint64
}

// Fork is a copy that samples guesses, which are not noted.
func (r *recorder) Fork() loopctl.Forking { return r.Sampler.(loopctl.Forking).Fork() }

func (r *recorder) Sample(logits []float32) loopctl.Sampled {
	first, second := math.Inf(-1), math.Inf(-1)
	for _, l := range logits {
		switch v := float64(l); {
		case v > first:
			first, second = v, first
		case v > second:
			second = v
		}
	}
	r.best, r.margin = append(r.best, first), append(r.margin, first-second)
	r.bits = append(r.bits, sumOfBits(logits))
	return r.Sampler.Sample(logits)
}

// submit may be called by the test or, between two calls, on the engine goroutine.
func (p *player) submit(t *testing.T, c *loopctl.Controller, done chan<- *player) {
	s, err := sampler.New(p.sampling)
	if err != nil {
		t.Error(err)
		done <- p
		return
	}
	p.seen, p.tokens, p.depths = &recorder{Sampler: s}, nil, nil
	streams, err := c.Submit(&loopctl.Request{
		Prompt: p.prompt, MaxTokens: p.most, Loops: p.loops, StopIDs: p.stop, Sampler: p.seen, Seed: p.sampling.Seed,
		Exit: p.exit, Draft: p.draft, Priority: p.rank,
	})
	if err != nil {
		t.Errorf("submit %d tokens at %d loops: %v", len(p.prompt), p.loops, err)
		done <- p
		return
	}
	p.stream = streams[0]
	go func() {
		defer func() { done <- p }()
		for {
			ev, err := p.stream.Next(t.Context())
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			if p.last = ev; ev.Token.ID >= 0 {
				p.tokens, p.depths = append(p.tokens, ev.Token.ID), append(p.depths, ev.Loops)
				if ev.Loops != p.loops && p.exit.Kind == loopctl.ExitNone || ev.Loops > p.loops {
					t.Errorf("a token after %d loops, asked for %d", ev.Loops, p.loops)
				}
			}
		}
	}()
}

// script is the Observer that lets the players come and go at their ticks, so that a mix repeats itself.
type script struct {
	t       *testing.T
	c       *loopctl.Controller
	players []*player // by arrival
	done    chan *player
	arrived int

	waiting, depths, cancelled int               // the most requests that waited, the most depths in one call, who was cancelled
	chunks                     int               // block calls in which a part of a prompt ran beside other rows
	did                        loopctl.TickStats // sums of what is counted of depth
}

func (s *script) Tick(k *loopctl.TickStats) {
	idle := k.Running == 0 && k.Waiting == 0 // nobody would make the next tick
	for s.arrived < len(s.players) && (idle || s.players[s.arrived].at <= int(k.Tick)) {
		s.players[s.arrived].submit(s.t, s.c, s.done)
		s.arrived++
		idle = false
	}
	for _, p := range s.players[:s.arrived] {
		if p.cancel > 0 && p.cancel <= int(k.Tick) && p.stream != nil {
			p.stream.Cancel()
		}
	}
	s.count(k)
	depths := 0
	for _, n := range k.ByDepth {
		depths += min(n, 1)
	}
	if k.Prefill > 0 && k.Prefill < k.Calls[loopctl.StageBlock].Rows {
		s.chunks++
	}
	s.waiting, s.depths = max(s.waiting, k.Waiting), max(s.depths, depths)
}

// count adds what was done for depth.
func (s *script) count(k *loopctl.TickStats) {
	d := &s.did
	d.Fills, d.Probes, d.Cached, d.Accepted, d.Preempted = d.Fills+k.Fills, d.Probes+k.Probes, d.Cached+k.Cached, d.Accepted+k.Accepted, d.Preempted+k.Preempted
}

func (s *script) Finished(_ *loopctl.Request, last loopctl.Event) {
	if last.Finish == loopctl.FinishCancelled {
		s.cancelled++
	}
}

// run plays the script to its end and checks that nothing is held afterwards.
func (s *script) run(t *testing.T, e engine.Engine, cfg loopctl.Config) {
	t.Helper()
	cfg.Observer = s
	s.t, s.c, s.done = t, loopctl.New(e, cfg), make(chan *player, len(s.players))
	s.players[0].submit(t, s.c, s.done)
	s.arrived = 1
	s.c.Start()
	for range s.players {
		<-s.done
	}
	if err := s.c.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if end := s.c.Snapshot(); end.Mismatches != 0 || end.PagesUsed != [3]int{} || end.LatentsUsed != 0 || end.Running != 0 || end.Backlog != 0 {
		t.Errorf("still held at the end: %+v", end)
	}
	if err := s.c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// compare holds p, out of the mix, against the same request alone. Where alone the best two logits were closer than
// rounding may move them, the mix may choose the other, and what follows proves nothing.
func (p *player) compare(t *testing.T, alone *player, tolerance float64) (forgiven int, worst float64) {
	t.Helper()
	complete := p.last.Finish == alone.last.Finish
	if !complete && p.last.Finish != loopctl.FinishCancelled {
		t.Errorf("ended with %v (%v), alone with %v", p.last.Finish, p.last.Err, alone.last.Finish)
	}
	for i := range min(len(p.tokens), len(alone.tokens)) {
		if p.depths[i] != alone.depths[i] { // a number so close to the threshold that rounding decides
			return 1, worst
		}
		worst = max(worst, math.Abs(p.seen.best[i]-alone.seen.best[i]))
		if p.tokens[i] == alone.tokens[i] {
			continue
		}
		if p.sampling.Temperature == 0 && alone.seen.margin[i] <= 2*tolerance {
			return 1, worst
		}
		t.Errorf("prompt of %d, %d loops, %+v: tokens %v in the mix, %v alone; at token %d the margin was %g",
			len(p.prompt), p.loops, p.sampling, p.tokens, alone.tokens, i, alone.seen.margin[i])
		return 0, worst
	}
	if len(p.tokens) > len(alone.tokens) || complete && len(p.tokens) != len(alone.tokens) {
		t.Errorf("%d tokens in the mix, %d alone", len(p.tokens), len(alone.tokens))
	}
	if worst > tolerance {
		t.Errorf("a logit differs by %g, the tolerance is %g", worst, tolerance)
	}
	return 0, worst
}

// TestLaw is the law on the real engine: a request's tokens are the same alone or among 15 others at mixed depths,
// prompt lengths, arrivals and cancellations, in a pool that is too small for all and in calls that are too small for
// a prompt. loopctl's own TestLaw has thousands of mixes on an arithmetic engine; here the arithmetic is the models'.
func TestLaw(t *testing.T) {
	ort.CheckLeaks(t)
	env := openEnv(t)
	t.Run("adder", func(t *testing.T) {
		// 4 KiB a page of 4 tokens, 8 planes: 304 pages, and the 16 together would take about 1000.
		e := openEngine(t, env, adder, engine.Options{MaxRows: 24, PageSize: 4, KVBytes: 38 * 8 * 4096})
		law(t, e, 1e-3, 6, addition)
	})
	t.Run("prelude and coda layers", func(t *testing.T) {
		path := filepath.Join(goldentest.Dir(t, "golden"), "looped-llama", "tiny-middle-1-2x3-1")
		c := openCase(t, path)
		// 8 KiB a page in each plane: 120 pages of the block, 40 of prelude and coda.
		e := openEngine(t, env, exported(t, c), engine.Options{MaxRows: 20, PageSize: 4, KVBytes: 40 * 8192})
		law(t, e, c.Within("logits"), 6, anyTokens)
	})
}

func law(t *testing.T, e engine.Engine, tolerance float64, seeds int, prompt func(*rand.Rand, *player)) {
	lawOf(t, e, tolerance, seeds, prompt, false)
}

// lawOf plays mixes; with policies, requests leave early, guess, and come with ranks, too.
func lawOf(t *testing.T, e engine.Engine, tolerance float64, seeds int, prompt func(*rand.Rand, *player), policies bool) {
	var sum script
	forgiven, tokens, worst := 0, 0, 0.0
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(uint64(seed), 7))
		mixed := &script{players: make([]*player, 16)}
		at := 0
		for i := range mixed.players {
			p := &player{loops: 1 + rng.IntN(min(16, e.Capacity().Loops.Max)), at: at}
			prompt(rng, p)
			if i%4 == 3 {
				p.sampling = sampler.Params{Temperature: 0.9, TopP: 0.95, Seed: rng.Uint64()}
			}
			if policies {
				p.varied(rng, e.Capacity())
			}
			if i%5 == 4 {
				p.cancel = at + rng.IntN(60)
			}
			at += rng.IntN(4)
			mixed.players[i] = p
		}
		cfg := loopctl.Config{MaxRunning: 4 + rng.IntN(12), RowBudget: 2 + rng.IntN(10), ChunkRows: 1 + rng.IntN(7), WrapRows: 4, ReserveTokens: rng.IntN(20) - 1}
		if e.Capacity().KV.Planes > 0 {
			cfg.RowBudget, cfg.ChunkRows = 4+cfg.RowBudget, 4+cfg.ChunkRows // the cut is to be the same, alone and mixed
		}
		mixed.run(t, e, cfg)
		for _, p := range mixed.players {
			alone := &player{prompt: p.prompt, loops: p.loops, most: p.most, stop: p.stop, sampling: p.sampling, exit: p.exit}
			(&script{players: []*player{alone}}).run(t, e, loopctl.Config{WrapRows: 4, MaxRunning: 1, NoPrefixCache: true})
			n, far := p.compare(t, alone, tolerance)
			forgiven, worst = forgiven+n, max(worst, far)
			tokens += len(p.tokens)
		}
		sum.waiting, sum.depths = max(sum.waiting, mixed.waiting), max(sum.depths, mixed.depths)
		sum.cancelled, sum.chunks = sum.cancelled+mixed.cancelled, sum.chunks+mixed.chunks
		sum.count(&mixed.did)
	}
	t.Logf("%d mixes of 16, %d tokens: the best logits differ by at most %.1e; %d choices closer than 2×%g went the other way; "+
		"up to %d depths in a call, %d waiting, %d cancelled, %d calls with a part of a prompt beside other rows",
		seeds, tokens, worst, forgiven, tolerance, sum.depths, sum.waiting, sum.cancelled, sum.chunks)
	if policies {
		d := &sum.did
		t.Logf("%d rows filled, %d probed, %d tokens out of the prefix cache, %d guesses right, %d preemptions", d.Fills, d.Probes, d.Cached, d.Accepted, d.Preempted)
		exact := e.Capacity().KV.Planes == 0
		if d.Probes == 0 || d.Preempted == 0 || exact && (d.Fills == 0 || d.Accepted == 0 || d.Cached == 0) {
			t.Error("the mixes prove too little")
		}
	}
	if sum.waiting == 0 || sum.depths < 4 || sum.cancelled == 0 || sum.chunks == 0 {
		t.Error("the mixes prove too little: somebody must wait, be cancelled, have a prompt in parts, at four depths or more")
	}
	if forgiven > tokens/100 {
		t.Errorf("%d of %d tokens were too close to call: the law is not tested by such models", forgiven, tokens)
	}
}

// addition is a sum as the adder was trained on, or digits of any length, which it goes on with just as surely.
func addition(rng *rand.Rand, p *player) {
	const zero, plus, equals, eos = 3, 13, 14, 2
	p.most = 1 + rng.IntN(12)
	if rng.IntN(3) == 0 {
		for range 1 + rng.IntN(48) {
			p.prompt = append(p.prompt, int32(zero+rng.IntN(12)))
		}
		return
	}
	p.stop = []int32{eos}
	for i := range 2 + rng.IntN(3) {
		if i > 0 {
			p.prompt = append(p.prompt, plus)
		}
		p.prompt = append(p.prompt, int32(zero+1+rng.IntN(9)), int32(zero+rng.IntN(10)), int32(zero+rng.IntN(10)))
	}
	p.prompt = append(p.prompt, equals)
}

// anyTokens is a prompt for a model of random weights.
func anyTokens(rng *rand.Rand, p *player) {
	p.most = 1 + rng.IntN(12)
	for range 1 + rng.IntN(60) {
		p.prompt = append(p.prompt, int32(rng.IntN(320)))
	}
}
