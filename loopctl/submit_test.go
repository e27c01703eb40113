package loopctl_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/kv"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

func smallLimits() loopctl.Capacity {
	l := loopctl.Capacity{MaxRows: 16, Latents: 32, PageSize: 4, Context: 32, Vocab: 50, Loops: loopctl.LoopRange{Min: 1, Default: 2, Trained: 4, Max: 8}}
	l.Pages[loopctl.StageBlock] = 40
	return l
}

func request(prompt, most, loops int) *loopctl.Request {
	return &loopctl.Request{Prompt: make([]int32, prompt), MaxTokens: most, Loops: loops, Sampler: loopctltest.Greedy{}}
}

func TestSubmitRefuses(t *testing.T) {
	outside := request(2, 1, 1)
	outside.Prompt[1] = 50
	noSampler := request(1, 1, 1)
	noSampler.Sampler = nil
	for _, tc := range []struct {
		name  string
		req   *loopctl.Request
		want  error
		field string
		text  string
	}{
		{"no prompt", request(0, 1, 1), loopctl.ErrBadRequest, "prompt", "prompt is empty: give at least one token"},
		{"token outside", outside, loopctl.ErrBadRequest, "prompt", "prompt[1] is 50: token ids of this model go from 0 to 49"},
		{"max_tokens 0", request(1, 0, 1), loopctl.ErrBadRequest, "max_tokens", "max_tokens is 0: it must be at least 1"},
		{"max_tokens negative", request(1, -3, 1), loopctl.ErrBadRequest, "max_tokens", "max_tokens is -3: it must be at least 1"},
		{"max_tokens huge", request(1, math.MaxInt, 1), loopctl.ErrPromptTooLong, "", ""},
		{"loops negative", request(1, 1, -1), loopctl.ErrBadRequest, "loops", "loops is -1: this model takes 1 to 8"},
		{"loops too many", request(1, 1, 1e9), loopctl.ErrBadRequest, "loops", "loops is 1000000000: this model takes 1 to 8"},
		{"no sampler", noSampler, loopctl.ErrBadRequest, "sampling", ""},
		{
			"too long", request(30, 3, 1), loopctl.ErrPromptTooLong, "",
			"prompt too long: 30 prompt tokens and max_tokens 3 exceed the context of 32; shorten one of them",
		},
		{
			"never enough pages", request(24, 1, 8), loopctl.ErrPagesExhausted, "",
			"not enough KV pages: block needs 48 pages and has 40 in all; lower max_tokens or loops, or give the server more pages",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := loopctl.New(loopctltest.New(smallLimits()), loopctl.Config{Logger: quiet})
			good := request(1, 1, 1)
			if _, err := c.Submit(good, tc.req); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			} else if tc.text != "" && err.Error() != tc.text {
				t.Errorf("got %q, want %q", err, tc.text)
			} else if fe := (*loopctl.FieldError)(nil); errors.As(err, &fe) && fe.Field != tc.field {
				t.Errorf("field %q, want %q", fe.Field, tc.field)
			}
			if s := c.Snapshot(); s.Waiting != 0 || s.Backlog != 0 {
				t.Errorf("the good one of the group was queued: %+v", s)
			}
		})
	}
}

// TestCheckDepth pins what each bound of depth answers: the server makes its own sentence of the parts.
func TestCheckDepth(t *testing.T) {
	l := smallLimits()
	l.Loops.Min, l.Delta = 2, true
	latest := l
	latest.KV.Planes = 1
	first := latest
	first.KV.Keep = kv.KeepFirst
	exit := func(k loopctl.ExitKind, threshold float64) loopctl.ExitPolicy {
		return loopctl.ExitPolicy{Kind: k, Threshold: threshold}
	}
	for _, tc := range []struct {
		l         *loopctl.Capacity
		r         loopctl.Request
		field     string
		low, high float64
		with      string
		text      string
	}{
		{&l, loopctl.Request{Loops: 9}, "loops", 2, 8, "", "loops is 9: this model takes 2 to 8"},
		{&l, loopctl.Request{Loops: 1}, "loops", 2, 8, "", "loops is 1: this model takes 2 to 8"},
		{&l, loopctl.Request{Exit: exit(loopctl.ExitGate, 0)}, "exit_policy", 0, 0, "", "exit_policy is gate: this model does not emit a gate; use one of none, delta, kl, entropy, argmax"},
		{&l, loopctl.Request{Exit: exit(99, 0)}, "exit_policy", 0, 0, "", "exit_policy is 99: it is not a known policy"},
		{&l, loopctl.Request{Exit: exit(loopctl.ExitDelta, 2.5)}, "exit_threshold", 0, 2, "", "exit_threshold is 2.5: policy delta takes a number above 0 and at most 2: the relative change of the hidden state below which a token exits (default 0.03)"},
		{&l, loopctl.Request{Exit: exit(loopctl.ExitKL, math.NaN())}, "exit_threshold", 0, 100, "", ""},
		{&l, loopctl.Request{Exit: exit(loopctl.ExitArgmax, 1.5)}, "exit_threshold", 1, 8, "", "exit_threshold is 1.5: policy argmax takes an integer from 1 to 8: for how many loops the most likely token must stay the same (default 5)"},
		{&l, loopctl.Request{Exit: exit(loopctl.ExitArgmax, 9)}, "exit_threshold", 1, 8, "", ""},
		{&l, loopctl.Request{Loops: 4, Exit: loopctl.ExitPolicy{MinLoops: 5}}, "min_loops", 2, 4, "", "min_loops is 5: it must be from 2 to loops, which is 4"},
		{&l, loopctl.Request{Exit: loopctl.ExitPolicy{Agree: 9}}, "exit_agree", 1, 8, "", "exit_agree is 9: it must be from 1 to 8"},
		{&l, loopctl.Request{Loops: 4, Replay: []int{4, 5}}, "replay_loops", 2, 4, "", "replay_loops[1] is 5: it must be from 2 to loops, which is 4"},
		{&l, loopctl.Request{Replay: []int{2}, Exit: exit(loopctl.ExitDelta, 0)}, "replay_loops", 0, 0, "exit_policy", "replay_loops and exit_policy exclude each other: the loops are given; leave one of the two out"},
		{&l, loopctl.Request{Replay: []int{2}, Elastic: true}, "replay_loops", 0, 0, "elastic", ""},
		{&l, loopctl.Request{TargetITL: 1}, "target_itl_ms", 0, 0, "elastic", ""},
		{&l, loopctl.Request{Lens: 51}, "return_lens", 0, 50, "", "return_lens is 51: it must be from 0 to the size of the vocabulary, 50"},
		{&l, loopctl.Request{Loops: 4, Draft: 4}, "draft_loops", 0, 3, "", "draft_loops is 4: it must be below loops, which is 4, or 0 for no draft tokens"},
		{&l, loopctl.Request{Loops: 4, Draft: 1}, "draft_loops", 2, 7, "", "draft_loops is 1: it must be from 2 to 7, or 0 for no draft tokens"},
		{&l, loopctl.Request{Loops: 4, Draft: 2, Lens: 1}, "draft_loops", 0, 0, "return_lens", ""},
		{&l, loopctl.Request{Loops: 4, Draft: 2, Elastic: true}, "draft_loops", 0, 0, "elastic", ""},
		{&l, loopctl.Request{Loops: 4, Draft: 2, Replay: []int{3}}, "draft_loops", 0, 0, "replay_loops", ""},
		{&l, loopctl.Request{Loops: 4, Draft: 2, Exit: exit(loopctl.ExitArgmax, 0)}, "draft_loops", 0, 0, "exit_policy", ""},
		{&l, loopctl.Request{Cut: []int{2}}, "prompt_cut", 0, 0, "", "prompt_cut changes no answer of this model under this server's KV policy: leave it out"},
		{&first, loopctl.Request{Exit: exit(loopctl.ExitDelta, 0)}, "exit_policy", 0, 0, "", "exit_policy is delta: it needs a KV policy that keeps every loop, and this server's keeps one: use none"},
		{&first, loopctl.Request{Lens: 1}, "return_lens", 0, 0, "", ""},
		{&first, loopctl.Request{Loops: 4, Replay: []int{3, 4}}, "replay_loops", 0, 0, "", "replay_loops[0] is 3: the prompt's rows go together under a KV policy that keeps one loop: it must be loops, which is 4"},
		{&latest, loopctl.Request{Loops: 4, Draft: 2}, "draft_loops", 0, 0, "", "draft_loops is 2: it needs the KV policy depth, and this server keeps the KV of fewer loops"},
	} {
		err := tc.r.CheckDepth(tc.l)
		fe, ok := errors.AsType[*loopctl.FieldError](err)
		if !ok {
			t.Errorf("%s: got %v", tc.field, err)
			continue
		}
		if fe.Field != tc.field || fe.Low != tc.low || fe.High != tc.high || fe.With != tc.with {
			t.Errorf("%v: got %+v", err, *fe)
		}
		if tc.text != "" && err.Error() != tc.text {
			t.Errorf("got %q, want %q", err, tc.text)
		}
	}
	good := loopctl.Request{Loops: 8, Exit: exit(loopctl.ExitArgmax, 8)}
	if err := good.CheckDepth(&l); err != nil {
		t.Error(err)
	}
}

// A prompt that is read whole must fit a call, has no logits that predict it, and no row that is looked at alone.
func TestWholePromptRefuses(t *testing.T) {
	l := smallLimits()
	l.Whole, l.Hidden = true, 1
	scored, probed := request(4, 1, 1), request(4, 0, 2)
	scored.Scorer = nobodyScores{}
	probed.OnLatent, probed.Exit.Kind = func(int, []float32) {}, loopctl.ExitKL
	for want, r := range map[string]*loopctl.Request{
		"17 prompt tokens, but this model reads a prompt in one call, which takes 16 rows": request(17, 1, 1),
		"prompt_logprobs is not possible: this model reads a prompt in both directions":    scored,
		"exit_policy is kl: this model reads a prompt whole":                               probed,
	} {
		if err := r.Check(&l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := request(16, 1, 1).Check(&l); err != nil {
		t.Error(err)
	}
}

type nobodyScores struct{}

func (nobodyScores) Score(int, []float32) {}

// The pieces of a prompt ascend inside it, and each is in one call.
func TestPromptCut(t *testing.T) {
	l := smallLimits()
	l.KV = loopctl.KVPolicy{Planes: 1, Keep: kv.KeepLast}
	c := loopctl.New(loopctltest.New(l), loopctl.Config{MaxRunning: 1, Logger: quiet})
	for _, cut := range [][]int{{0}, {3, 3}, {5}, {1 << 40}} {
		r := request(5, 1, 2)
		r.Cut = cut
		_, err := c.Submit(r)
		if fe, ok := errors.AsType[*loopctl.FieldError](err); !ok || fe.Field != "prompt_cut" {
			t.Errorf("%v: %v", cut, err)
		}
	}
	r := request(5, 1, 2)
	r.Cut = []int{1, 4}
	if _, err := c.Submit(r); err != nil {
		t.Error(err)
	}
}

func TestQueueBound(t *testing.T) {
	c := loopctl.New(loopctltest.New(smallLimits()), loopctl.Config{QueueLimit: 3, MaxRunning: 1, Logger: quiet})
	submit := func(n int, want error) {
		t.Helper()
		group := make([]*loopctl.Request, n)
		for i := range group {
			group[i] = request(1, 1, 1)
		}
		if _, err := c.Submit(group...); !errors.Is(err, want) {
			t.Fatalf("submit of %d: %v, want %v", n, err, want)
		}
	}
	submit(4, loopctl.ErrQueueFull)
	submit(2, nil)
	submit(2, loopctl.ErrQueueFull) // all or none
	submit(1, nil)
	if got := c.Snapshot(); got.Waiting != 3 || got.Backlog != 3 {
		t.Fatalf("snapshot %+v", got)
	}
	c.Turn() // one runs and ends
	submit(1, nil)
	submit(1, loopctl.ErrQueueFull)
	for c.Turn() {
	}
	if err := c.CheckEmpty(); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshot(t *testing.T) {
	c := loopctl.New(loopctltest.New(smallLimits()), loopctl.Config{MaxRunning: 2, Logger: quiet})
	for _, loops := range []int{4, 2, 1} {
		if _, err := c.Submit(request(3, 2, loops)); err != nil {
			t.Fatal(err)
		}
	}
	c.Turn()
	s := c.Snapshot()
	if s.Running != 2 || s.Waiting != 1 || s.RowsByDepth[1] != 6 || s.LatentsUsed != 6 || s.PagesUsed[loopctl.StageBlock] != 6 {
		t.Errorf("snapshot %+v", s)
	}
	if want := int64(4*(4+2+1) - 6); s.Backlog != want {
		t.Errorf("backlog %d, want %d: prompt and completion but its last token, times loops, less the 6 rows that ran", s.Backlog, want)
	}
	if s.SecondsPerLoopStep <= 0 {
		t.Errorf("no pace: %+v", s)
	}
}
