package loopctl_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// checkAccount: what a sequence's account says is what its reader saw, and its numbers agree with each other.
func checkAccount(t *testing.T, r *loopctl.Request, last loopctl.Event, loops []int) {
	t.Helper()
	s := last.Stats
	total := 0
	for _, n := range loops {
		total += n
	}
	whole := last.Finish == loopctl.FinishStop || last.Finish == loopctl.FinishLength
	free := r.Exit.Kind == loopctl.ExitDelta || r.Exit.Kind == loopctl.ExitGate
	for _, law := range []struct {
		says  string
		holds bool
	}{
		{"tokens are those of the answer", !whole || s.CompletionTokens == len(loops) && s.LoopsTotal == total},
		{"a cancelled one has at least what was read", s.CompletionTokens >= len(loops) && s.LoopsTotal >= total},
		{"the deepest token", !whole || s.LoopsMax == slices.Max(loops)},
		{"saved is the cap less what was used", s.LoopsSaved == s.CompletionTokens*s.LoopsGranted-s.LoopsTotal},
		{"each row of the prompt was computed or cached", !whole || s.PromptRows+s.CachedTokens == s.PromptTokens && s.PromptRows > 0},
		{"no row of the prompt counts twice", s.PromptRows <= s.PromptTokens && s.PromptLoops >= s.PromptRows && s.PromptLoops <= s.PromptRows*s.LoopsGranted},
		{
			"all rows of the prompt but the last do the cap, where the graph's numbers don't say otherwise",
			!whole || free || s.PromptLoops == (s.PromptRows-1)*s.LoopsGranted+loops[0],
		},
		{"only preempted ones compute again", s.Recomputed == 0 || s.Preemptions > 0},
		{"times come in order", s.Scheduled.IsZero() || !s.Scheduled.Before(s.Arrived) && (s.FirstToken.IsZero() || !s.FirstToken.Before(s.Scheduled))},
		{"the end is the last token's", !whole || s.Finished.Equal(last.At)},
	} {
		if !law.holds {
			t.Errorf("%s (%+v, replay %v), %v: %s: not so in %+v, of which %v was read", r.ID, r.Exit, r.Replay, last.Finish, law.says, *s, loops)
		}
	}
}

// ledger counts what the observer is told of one mix.
type ledger struct {
	coverage

	tokens, gaps, loops              int // of ticks
	account, accountLoops, sequences int // of ends
	by                               map[loopctl.FinishReason]int
}

func (l *ledger) Tick(t *loopctl.TickStats) {
	l.coverage.Tick(t)
	for _, token := range t.Tokens {
		l.tokens++
		l.loops += token.Loops
		if !token.First {
			l.gaps++
		}
	}
}

func (l *ledger) Finished(r *loopctl.Request, last loopctl.Event) {
	l.coverage.Finished(r, last)
	l.by[last.Finish]++
	l.account += last.Stats.CompletionTokens
	l.accountLoops += last.Stats.LoopsTotal
	if last.Stats.CompletionTokens > 0 {
		l.sequences++
	}
	l.coverage["recomputed rows"] += last.Stats.Recomputed
}

// check: what ticks have told of tokens is what the accounts hold, and each accepted request has ended once.
func (l *ledger) check(t *testing.T, accepted int) {
	t.Helper()
	ended := 0
	for _, n := range l.by {
		ended += n
	}
	if l.tokens != l.account || l.loops != l.accountLoops || l.gaps != l.account-l.sequences || ended != accepted {
		t.Errorf("ticks told of %d tokens, %d loops and %d gaps; accounts of %d sequences hold %d and %d; %d of %d requests ended (%v)",
			l.tokens, l.loops, l.gaps, l.sequences, l.account, l.accountLoops, ended, accepted, l.by)
	}
}

// A reader's own end is the sequence's: no token is made past it, and it ends with that reason.
func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		says   loopctl.FinishReason
		at     int
		tokens int
		want   loopctl.FinishReason
	}{
		{loopctl.FinishStop, 2, 2, loopctl.FinishStop},
		{loopctl.FinishLength, 3, 3, loopctl.FinishLength},
		{loopctl.FinishStop, 6, 6, loopctl.FinishStop},   // where the length ends it, too
		{loopctl.FinishNone, 6, 6, loopctl.FinishLength}, // which Ends cannot put off
	} {
		t.Run(fmt.Sprint(tt.says, tt.at), func(t *testing.T) {
			c := loopctl.New(loopctltest.New(roomy()), loopctl.Config{Logger: quiet})
			n := 0
			r := &loopctl.Request{ID: "r", Prompt: prompt(5), MaxTokens: 6, Loops: 3}
			r.Ends = func(_ int32, _ int, f loopctl.FinishReason) loopctl.FinishReason {
				if n++; n == tt.at {
					return tt.says
				}
				return f
			}
			s := submit(t, c, r)
			runOut(c)
			ids, last := drainAll(t, s)
			if len(ids) != tt.tokens || last.Finish != tt.want || last.Stats.CompletionTokens != tt.tokens {
				t.Errorf("%d tokens, %v; want %d, %v", len(ids), last.Finish, tt.tokens, tt.want)
			}
		})
	}
}
