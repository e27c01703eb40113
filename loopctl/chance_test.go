package loopctl_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// guessed is an engine that after depth loops knows the token of a position with a probability, and all calls of which take a
// time that is known.
type guessed struct {
	timed
	loops  int
	knows  func(depth, position int) float64
	fixed  time.Duration // of a block call
	row    time.Duration // of a row in it
	coda   time.Duration // of a call of the coda
	look   time.Duration // of a row in it
	depths map[int32]int // by latent
	logits [][]float32
}

func (e *guessed) Block(b *loopctl.Batch) (loopctl.RowInfo, error) {
	e.now = e.now.Add(e.fixed + time.Duration(b.Rows)*e.row)
	for i := range b.Spans {
		for _, slot := range b.Spans[i].Rows {
			e.depths[slot] = b.Spans[i].Depth + 1
		}
	}
	return e.Engine.Block(b)
}

func (e *guessed) Coda(b *loopctl.Batch) ([][]float32, error) {
	e.now = e.now.Add(e.coda + time.Duration(b.Rows)*e.look)
	out := e.logits[:0]
	for i := range b.Spans {
		s := &b.Spans[i]
		for _, at := range s.LogitRows {
			position := s.Past + int(at)
			noise := uint64(position+1) * (s.Seed + 1) * 0x9e3779b97f4a7c15 >> 20
			id := int(noise % 49)
			if depth := e.depths[s.Rows[at]]; depth < e.loops && float64(noise>>8%1000)/1000 >= e.knows(depth, position) {
				id++
			}
			row := make([]float32, 50)
			row[id] = 1
			out = append(out, row)
		}
	}
	return out, nil
}

// start is a controller of e to which clients have come for tokens each, with draft.
func (e *guessed) start(t *testing.T, clients, tokens, draft int) (*loopctl.Controller, []*loopctl.Stream) {
	t.Helper()
	e.timed = timed{Engine: loopctltest.New(fairLimits(64)), now: time.Unix(0, 0)}
	e.depths = map[int32]int{}
	c := loopctl.New(e, loopctl.Config{StreamBuffer: 10000, Logger: quiet, Now: func() time.Time { return e.now }})
	var streams []*loopctl.Stream
	for i := range clients {
		streams = append(streams, submit(t, c, &loopctl.Request{Seed: uint64(i), Prompt: make([]int32, 16), MaxTokens: tokens, Loops: e.loops, Draft: draft, StopIDs: []int32{99}}))
	}
	return c, streams
}

// play is how long clients take for tokens each, with draft, and how many tokens were guessed.
func (e guessed) play(t *testing.T, clients, tokens, draft int) (time.Duration, [][]int32, int) {
	t.Helper()
	c, streams := e.start(t, clients, tokens, draft)
	for c.Turn() {
	}
	said, drafted := make([][]int32, clients), 0
	for i, s := range streams {
		for ev, ok := tryNext(s); ok; ev, ok = tryNext(s) {
			said[i] = append(said[i], ev.Token.ID)
			if ev.Stats != nil {
				drafted += ev.Stats.Drafted
			}
		}
		if len(said[i]) != tokens {
			t.Fatalf("%d tokens", len(said[i]))
		}
	}
	return e.now.Sub(time.Unix(0, 0)), said, drafted
}

func after(depth int, p float64) func(int, int) float64 {
	return func(d, _ int) float64 {
		if d >= depth {
			return p
		}
		return 0
	}
}

// Guesses begin where they pay, and nowhere else; the tokens are the same.
func TestDraftAuto(t *testing.T) {
	for _, tt := range []struct {
		name    string
		engine  guessed
		clients int
		gain    float64 // at least
		drafts  bool
	}{
		{"rows cost little and guesses are right", guessed{loops: 8, knows: after(2, 1), fixed: 1000, row: 50, coda: 300}, 1, 2, true},
		{"most are right after half of the loops", guessed{loops: 8, knows: after(4, 0.8), fixed: 1000, row: 50, coda: 300}, 1, 1.3, true},
		{"the head costs as much as the block", guessed{loops: 4, knows: after(2, 0.9), fixed: 900, row: 50, coda: 950}, 1, 1.15, true},
		{"two looks cost what one does", guessed{loops: 2, knows: after(1, 1), fixed: 950, row: 50, coda: 950}, 1, 1.35, true},
		{"more are right after half of the loops than after a quarter", guessed{loops: 8, knows: func(d, at int) float64 {
			return max(after(2, 0.4)(d, at), after(4, 1)(d, at))
		}, fixed: 1000, row: 50, coda: 300}, 1, 1.6, true},
		{"they become right", guessed{loops: 8, knows: func(d, at int) float64 { return after(4, float64(at/1000))(d, at) }, fixed: 1000, row: 50, coda: 300}, 1, 1.2, true},
		{"none is right", guessed{loops: 8, knows: after(9, 1), fixed: 1000, row: 50, coda: 300}, 1, 0.98, false},
		{"few are right", guessed{loops: 4, knows: after(1, 0.3), fixed: 900, row: 50, coda: 950}, 1, 0.98, false},
		{"they become wrong", guessed{loops: 8, knows: func(d, at int) float64 { return after(4, 1-float64(at/100))(d, at) }, fixed: 1000, row: 50, coda: 300}, 1, 0.98, false},
		{"a row costs what a call costs", guessed{loops: 8, knows: after(2, 1), row: 1000, coda: 300}, 1, 0.98, false},
		{"calls are full of others' rows", guessed{loops: 8, knows: after(2, 0.9), row: 200, fixed: 100, coda: 300}, 8, 0.98, false},
		{"others' rows cost little", guessed{loops: 8, knows: after(2, 1), row: 10, fixed: 1000, coda: 50}, 4, 1.5, true},
		{"a try is charged where one can be made", guessed{loops: 8, knows: after(4, 1), fixed: 950, row: 50, coda: 50}, 3, 1.5, true},
		{"one loop", guessed{loops: 1, knows: after(1, 1), fixed: 1000, coda: 300}, 1, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const tokens = 2000
			plain, want, _ := tt.engine.play(t, tt.clients, tokens, 0)
			auto, got, drafted := tt.engine.play(t, tt.clients, tokens, loopctl.DraftAuto)
			for i := range want {
				if !slices.Equal(got[i], want[i]) {
					t.Fatalf("sequence %d says something else", i)
				}
			}
			gain, share := float64(plain)/float64(auto), float64(drafted)/float64(tokens*tt.clients)
			if gain < tt.gain || share > 0.4 != tt.drafts && gain > 1 {
				t.Errorf("%.3f times as fast, want %.2f; %.3f of the tokens guessed", gain, tt.gain, share)
			}
		})
	}
}

// A guess speaks for the depth at which it was made, also where what is learnt of others' has chosen another for the next one.
func TestGuessesAreNotedWhereTheyWereMade(t *testing.T) {
	e := guessed{loops: 8, knows: func(d, at int) float64 { // after 2 loops they become wrong, and after 4 are right: the depth changes
		return max(after(2, 1-float64(at/200)*0.6)(d, at), after(4, 1)(d, at))
	}, fixed: 1000, row: 50, coda: 300}
	c, _ := e.start(t, 3, 1000, loopctl.DraftAuto)
	for c.Turn() {
		for draft, want := range map[int]float64{0: 0, 1: 0, 4: 1} {
			if tries, right := c.Odds(8, draft); right != want*tries || draft == 0 && tries > 0 {
				t.Fatalf("after %d of 8 loops %.1f of %.1f guesses were right, want %.0f of each", draft, right, tries, want)
			}
		}
	}
	if tries, _ := c.Odds(8, 4); tries < 16 {
		t.Errorf("%.1f guesses after 4 of 8 loops", tries)
	}
}

// A client is charged for no guess of auto's that was wrong, and for one that was right what its token takes without.
func TestGuessesOfAutoAreNotCharged(t *testing.T) {
	const tokens = 500
	used := func(draft int) float64 {
		e := guessed{loops: 8, knows: after(2, 0.5), fixed: 1000, row: 50, coda: 300}
		c, s := e.start(t, 1, tokens+1, draft)
		for n := 0; n < tokens; {
			c.Turn()
			if _, ok := tryNext(s[0]); ok {
				n++
			}
		}
		if tries, _ := c.Odds(8, 2); draft != 0 && tries < 32 {
			t.Errorf("%.1f guesses", tries)
		}
		return c.Used("")
	}
	if plain, auto := used(0), used(loopctl.DraftAuto); auto < plain || auto > plain+8 { // the next token's, too
		t.Errorf("%.0f loop-steps with guesses, %.0f without", auto, plain)
	}
}

// forgetful is a sampler whose copies fail.
type forgetful struct {
	loopctltest.Greedy
	forks *int
}

func (s forgetful) Fork() loopctl.Forking {
	*s.forks++
	return broken{}
}

type broken struct{ loopctltest.Greedy }

func (broken) Sample([]float32) loopctl.Sampled { panic("no") }

// A request whose sampler fails on a guess goes on without guesses for good, also where they are the controller's to choose.
func TestNoGuessesAfterOneFailed(t *testing.T) {
	e := guessed{loops: 8, knows: after(1, 1), fixed: 1000, row: 50, coda: 300}
	c, _ := e.start(t, 0, 0, 0)
	forks := 0
	s := submit(t, c, &loopctl.Request{Prompt: make([]int32, 16), MaxTokens: 400, Loops: 8, Draft: loopctl.DraftAuto, Sampler: forgetful{forks: &forks}})
	for c.Turn() {
	}
	if ids, last := drainAll(t, s); len(ids) != 400 || last.Finish != loopctl.FinishLength || forks != 1 {
		t.Errorf("%d tokens, %v; %d copies of the sampler", len(ids), last.Finish, forks)
	}
}

// A call that fails says nothing of what calls take.
func TestFailedCallsDontCount(t *testing.T) {
	e := guessed{loops: 8, knows: after(9, 1), fixed: 1000, row: 50, coda: 300}
	c, _ := e.start(t, 1, 10, 0)
	e.Fault = func(st loopctl.Stage, nth int) error {
		if st == loopctl.StageBlock && nth == 10 {
			e.now = e.now.Add(time.Hour)
			return errInjected
		}
		return nil
	}
	for c.Turn() {
	}
	if got := c.Cost(loopctl.StageBlock, 1); got > 2e-6 {
		t.Errorf("a row takes %g s", got)
	}
}

// Whatever a guess is worth and calls cost, tokens don't come slower than 0.98 times as fast.
func TestDraftAutoIsNeverSlow(t *testing.T) {
	worst, where := 2.0, ""
	for _, loops := range []int{2, 3, 4, 8} {
		for _, row := range []time.Duration{0, 300, 700} {
			for _, coda := range [][2]time.Duration{{50, 0}, {1000, 0}, {0, 1000}} {
				for _, clients := range []int{1, 6} {
					e := guessed{loops: loops, fixed: 1000 - row, row: row, coda: coda[0], look: coda[1]}
					plain, _, _ := e.play(t, clients, 400, 0)
					for _, p := range []float64{0, 0.3, 0.6, 0.9, 1.8} {
						e.knows = func(depth, _ int) float64 { return p * float64(depth+1) / float64(loops) }
						auto, _, _ := e.play(t, clients, 400, loopctl.DraftAuto)
						if gain := float64(plain) / float64(auto); gain < worst {
							worst, where = gain, fmt.Sprintf("%d loops, right %.1f, a row %d, coda %d, %d clients", loops, p, row, coda, clients)
						}
					}
				}
			}
		}
	}
	t.Logf("%.3f: %s", worst, where)
	if worst < 0.98 {
		t.Errorf("%.3f times as fast: %s", worst, where)
	}
}
