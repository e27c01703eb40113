package loopctl_test

import (
	"errors"
	"math"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

func smallLimits() loopctl.Limits {
	l := loopctl.Limits{MaxRows: 16, Latents: 32, PageSize: 4, Context: 32, Vocab: 50, Loops: loopctl.LoopRange{Min: 1, Default: 2, Trained: 4, Max: 8}}
	l.Pages[loopctl.StageBlock] = 40
	return l
}

func request(prompt, most, loops int) *loopctl.Request {
	return &loopctl.Request{Prompt: make([]int32, prompt), MaxTokens: most, Loops: loops, Picker: loopctltest.Greedy{}}
}

func TestSubmitRefuses(t *testing.T) {
	outside := request(2, 1, 1)
	outside.Prompt[1] = 50
	noPicker := request(1, 1, 1)
	noPicker.Picker = nil
	for _, tc := range []struct {
		name  string
		req   *loopctl.Request
		want  error
		field string
		text  string
	}{
		{"no prompt", request(0, 1, 1), loopctl.ErrBadRequest, "prompt", "prompt: []: is empty; give at least one token"},
		{"token outside", outside, loopctl.ErrBadRequest, "prompt", "prompt: 50: token 1 is outside the vocabulary; ids go from 0 to 49"},
		{"max_tokens 0", request(1, 0, 1), loopctl.ErrBadRequest, "max_tokens", "max_tokens: 0: must be at least 1"},
		{"max_tokens negative", request(1, -3, 1), loopctl.ErrBadRequest, "max_tokens", "max_tokens: -3: must be at least 1"},
		{"max_tokens huge", request(1, math.MaxInt, 1), loopctl.ErrPromptTooLong, "", ""},
		{"loops negative", request(1, 1, -1), loopctl.ErrBadRequest, "loops", "loops: -1: is out of range; this model takes 1 to 8"},
		{"loops too many", request(1, 1, 1e9), loopctl.ErrBadRequest, "loops", "loops: 1000000000: is out of range; this model takes 1 to 8"},
		{"no picker", noPicker, loopctl.ErrBadRequest, "sampling", ""},
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
